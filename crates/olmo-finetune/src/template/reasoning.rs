//! The templates that reinforcement learning has, in Jinja and in our words; what they say to a model stands as
//! it does in Open Instruct's table, since models are trained with it.

/// What a model is told that is to think first, after DeepSeek-R1 (https://arxiv.org/abs/2501.12948).
macro_rules! r1 {
    () => {
        "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. \
         The assistant first thinks about the reasoning process in the mind and then provides the user with \
         the answer. The reasoning process and answer are enclosed within <think> </think> and \
         <answer> </answer> tags, respectively, i.e., <think> reasoning process here </think> \
         <answer> answer here </answer>.\n\n"
    };
}

/// Messages with their roles, an empty line between them, and the head of an answer.
macro_rules! said {
    ($before:literal, $answer:literal) => {
        concat!(
            "{% for message in messages %}{{ '' if loop.first else '\\n\\n' }}",
            "{{ message['role'].capitalize() + ': ",
            $before,
            "' + message['content'] + '\\n' }}",
            "{% if loop.last and add_generation_prompt %}{{ '",
            $answer,
            "' }}{% endif %}{% endfor %}",
        )
    };
}

/// The same with where the answer has to stand, in every message.
macro_rules! boxed {
    () => {
        said!(
            "You must put your answer inside <answer> </answer> tags, i.e., <answer> answer here </answer>. And \
             your final answer will be extracted automatically by the \\\\boxed{} tag. This is the problem: ",
            "Assistant: <think>"
        )
    };
}

/// A task before all contents, and what is to be remembered after them.
macro_rules! from_zero {
    ($task:literal, $remember:literal) => {
        concat!(
            $task,
            "\n\n{% for message in messages %}{{ '' if loop.first else '\\n\\n' }}",
            "{{ message['content'] + '\\n' }}",
            "{% if loop.last and add_generation_prompt %}{{ '",
            $remember,
            "' }}{% endif %}{% endfor %}",
        )
    };
}

pub const TEMPLATES: [(&str, &str); 8] = [
    (
        "tulu_thinker_r1_style",
        concat!(
            r1!(),
            "{% for message in messages %}{% set role = message['role'] %}\
             {% if role in ['system', 'user'] %}{{ '<|' + role + '|>\\n' + message['content'] + '\\n' }}\
             {% elif role == 'assistant' %}\
             {{ '<|assistant|>\\n' + (message['content'].split('</think>') | last) + eos_token }}\
             {{ '' if loop.last else '\\n' }}\
             {% endif %}\
             {% if loop.last and add_generation_prompt %}{{ '<|assistant|>\\n<think>' }}{% endif %}\
             {% endfor %}",
        ),
    ),
    (
        "olmo_thinker_rlzero",
        from_zero!(
            "Solve the following problem step by step. The last line of your response should be the answer to \
             the problem in form Answer: $Answer (without quotes) where $Answer is the answer to the problem.",
            "\\nRemember to put your answer on its own line after \\\"Answer:\\\""
        ),
    ),
    (
        "olmo_thinker_code_rlzero",
        from_zero!(
            "Solve the following code problem step by step. The last part of your response should be the \
             solution to the problem in form ```\npython\nCODE\n``` where CODE is the solution for the problem.",
            "Remember to put your solution inside the ```\\npython\\nCODE\\n``` tags"
        ),
    ),
    ("r1_simple_chat", concat!(r1!(), said!("", "Assistant:"))),
    ("r1_simple_chat_postpend_think", concat!(r1!(), said!("", "Assistant: <think>"))),
    ("r1_simple_chat_postpend_think_orz_style", concat!(r1!(), boxed!())),
    (
        "r1_simple_chat_postpend_think_tool_vllm",
        concat!(
            "A conversation between User and Assistant. The User asks a question, and the Assistant solves it. \
             The Assistant first thinks about the reasoning process in the mind and then provides the User with \
             the answer. \n\nWhen given a question, the Assistant must conduct reasoning inside the <think> and \
             </think> tags. During reasoning, the Assistant may write and execute python code using the <code> \
             </code> tag, in order to solve the problem or verify the answer. Then the Assistant will get the \
             stdout and stderr in the <output> and </output> tags. For example, the code could be\n<code>\n\
             x, y = 1, 2\nresult = x + y\nprint(result)\n</code>\nor\n<code>\nimport sympy as sp\n\
             from sympy import Symbol\nx = Symbol('x')\ny = Symbol('y')\nsolution = sp.solve(x**2 + y**2 - 1, \
             (x, y))\nprint(solution)\n</code>\nThe Assistant will always `print` the result of the code \
             execution in order to see it in the <output> tag. The Assistant may use the <code> </code> tag \
             multiple times. When the Assistant is done reasoning, it should provide the answer inside the \
             <answer> and </answer> tag.\n\n",
            boxed!(),
        ),
    ),
    (
        "qwen_instruct_user_boxed_math",
        "{% for message in messages %}{% set role = message['role'] %}\
         {% if role == 'user' %}\
         {{ '<|im_start|>user\\n' + message['content'] + '\\n\\nPlease reason step by step, and put your final \
            answer within \\\\boxed{}<|im_end|>\\n' }}\
         {% elif role == 'assistant' %}{{ '<|im_start|>assistant\\n' + message['content'] + '<|im_end|>\\n' }}\
         {% endif %}\
         {% if loop.last and add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}\
         {% endfor %}",
    ),
];
