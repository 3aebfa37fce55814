"""What jinja2, set up as transformers does, makes of templates that try one feature each."""

from common import out_dir, write_json

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Say the \"weather\" in <town> \u2013 now.",
            "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
        },
    }
]

VARIABLES = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "  Hi \U0001f600\n"},
        {"role": "assistant", "content": "Hello", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
        {"role": "user", "content": [{"type": "text", "text": "part"}]},
    ],
    "tools": None,
    "documents": None,
    "add_generation_prompt": True,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "data": {"b": 1, "a": [1.5, True, None, "it's", {"x": "y"}], "items": "own", "z": {}},
    "words": ["pear", "Apple", "fig", "apple"],
    "people": [
        {"name": "Ann", "age": 30, "town": {"name": "Oslo"}},
        {"name": "bob", "age": 25, "town": {"name": "Bern"}},
        {"name": "Cid", "age": 30},
    ],
    "numbers": [3, 1, 2, 10, -4],
    "text": "The quick brown-fox  jumps",
    "emoji": "a\U0001f600b",
    "schema": TOOLS,
    "html": "<b class=\"x\">a & 'b'</b>",
}

TEMPLATES = r"""
{{ true }} {{ false }} {{ none }} {{ True }} {{ None }}
{{ [1, 'a', "it's", true, none, 1.0, {'k': (1,)}, (), []] }}
{{ {'a': 1, 'b': [2.5, None]} }}|{{ data }}
{{ 1.0 }} {{ 1e16 }} {{ 1.5e-7 }} {{ 0.0001 }} {{ 123456789.125 }} {{ 1e15 }} {{ 3.14159 }} {{ -0.0 }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 4 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }}
{{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }} {{ -3 ** 2 }} {{ - 5 | abs }}
{{ 'a' ~ 1 ~ true ~ none ~ 1.5 ~ [1] ~ missing }}
{{ 'a' + 'b' }} {{ 'ab' * 3 }} {{ 3 * 'x' }} {{ [1] + [2] }} {{ [0] * 3 }} {{ (1,) + (2,) }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ 'B' < 'a' }} {{ [1, 2] < [1, 3] }}
{{ 'a' in 'cat' }} {{ 'x' not in 'cat' }} {{ 1 in [1, 2] }} {{ 'b' in data }} {{ 2 in range(3) }} {{ 'x' in missing }}
{{ not true }} {{ true and 'x' }} {{ '' or 'y' }} {{ none and 1 }} {{ [] or {} or 0 }}
{{ 'yes' if 1 else 'no' }} {{ 'yes' if 0 }}|{{ 'a' if false else 'b' if false else 'c' }}
{{ emoji | length }} {{ emoji[1] }} {{ emoji[::-1] }} {{ emoji.find('b') }} {{ emoji.upper() }}
{{ missing }}|{{ data.nothing }}|{{ data['nothing'] }}|{{ words[9] }}|{{ none.x }}|{{ emoji.zzz }}
{{ a.b }}
{{ a.b.c }}
{{ data.nothing.more }}
{{ missing + 1 }}
{{ missing() }}
{{ missing < 1 }}
{{ missing == other }} {{ missing is defined }} {{ missing is undefined }} {{ missing | length }} {{ missing | list }} {{ not missing }}
{% for x in missing %}x{% else %}none{% endfor %}
{{ data.items }} {{ data['items'] }} {{ data.items() | list | length }}
{{ data.keys() }} {{ data.z.values() }} {{ {'a': 1}.items() }}
{{ range(3) }} {{ range(1, 4) | list }} {{ range(10, 0, -3) | list }} {{ range(0, 10, 2) }} {{ range(5)[1] }} {{ range(5) | length }}
{{ words[0] }} {{ words[-1] }} {{ words[1:] }} {{ words[:-1] }} {{ words[::2] }} {{ words[::-1] }} {{ words[3:0:-2] }} {{ words[10:] }} {{ words[-2:] }}
{{ text[4:9] }} {{ text[-5:] }} {{ text[::-3] }} {{ text[:3] }}|{{ text[100:] }}|{{ text[5:2] }}
{{ (1, 2, 3)[1:] }} {{ [1,2,3][-1:0:-1] }} {{ 'abc'[-10:2] }} {{ 'abc'[2:-10:-1] }}
{% for c in 'abc' %}{{ c }}{{ '-' if not loop.last }}{% endfor %}
{% for x in words %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }} {% endfor %}
{% for x in words %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}
{% for x in words %}{{ loop.cycle('a', 'b', 'c') }}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}
{% for p in people %}{% if loop.changed(p.age) %}{{ p.age }}:{% endif %}{{ p.name }} {% endfor %}
{% for x in numbers if x > 1 %}{{ loop.index }}={{ x }}/{{ loop.length }} {% else %}none{% endfor %}
{% for x in numbers %}{% if x == 2 %}{% break %}{% endif %}{{ x }} {% endfor %}
{% for x in numbers %}{% if x == 1 %}{% continue %}{% endif %}{{ x }} {% endfor %}
{% for k, v in data.items() %}{{ k }}={{ v }};{% endfor %}
{% for k in data %}{{ k }}{% endfor %}
{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
{% for x in [1, [2, [3]]] recursive %}{{ loop.depth }}{{ loop(x) if x is sequence else x }}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for x in none %}{% endfor %}
{% set x = 1 %}{% for i in [1,2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(n=0, t='') %}{% for i in numbers %}{% set ns.n = ns.n + i %}{% set ns.t = ns.t ~ i %}{% endfor %}{{ ns.n }} {{ ns.t }}
{% set ns = namespace({'a': 1}, b=2) %}{{ ns }} {{ ns.a }} {{ ns['b'] }}
{% set ns = namespace() %}{{ ns.x }}|{{ ns.x is defined }}
{% set d = {} %}{% set d.x = 1 %}
{% set a, b = 1, 2 %}{{ b }}{{ a }}
{% set t = 1, %}{{ t }}{% set u = (1, 2) %}{{ u }}
{% set x %}a {{ 1 + 1 }} b{% endset %}[{{ x }}]{{ x is string }}
{% set x | upper | trim %} a {% endset %}[{{ x }}]
{% if false %}{% set y = 1 %}{% endif %}[{{ y }}]
{% if true %}{% set y = 1 %}{% endif %}[{{ y }}]
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% set c = 3 %}{% endwith %}[{{ a }}{{ c }}]
{% macro m(a, b=2, c='x') %}[{{ a }},{{ b }},{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, c=3) }}{{ m(b=5, a=0) }}{{ m() }}{{ m.name }}{{ m.arguments }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m() %}<{{ caller('x') }}>{% endmacro %}{% call(v) m() %}{{ v }}y{% endcall %}
{% macro fact(n) %}{{ 1 if n < 2 else n * (fact(n - 1) | int) }}{% endmacro %}{{ fact(5) }}
{% macro m(x=outer) %}{{ x }}{% endmacro %}{% set outer = 5 %}{{ m() }}
{% filter upper | replace('A', '4') %}banana{{ 1 }}{% endfilter %}
{% raw %}{{ not }} {% this %}{% endraw %}
{%- raw -%}  {{ x }}  {%- endraw -%}  end
a  {%- if true %} b {%- endif %} c
a {%+ if true %} b{% endif +%}
a {{- ' x ' -}} b
{# gone #}a{#- gone -#} b
{% generation %}said {{ 1 }}{% endgeneration %}{% set q = 1 %}{{ q }}
{% generation %}{% set inner = 1 %}{% endgeneration %}[{{ inner }}]
{{ "a" "b" 'c' }} {{ 'tab\tx' }} {{ 'n\\n' }} {{ '\x41\u00e9\U0001F600' }} {{ 'it\'s' }} {{ '\q' }}
{{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1_0.5 }} {{ 1e3 }}
{{ {'a': {'b': {}}} }}{{ {'x': '}}'}['x'] }}
{{ 'a%sb' | format(1) }} {{ '%d-%05.1f-%x' | format(3.7, 2.55, 255) }} {{ '%(a)s' | format(a=1) }}
{{ '%s %r %5d|%-5d|%05d|%+d|% d' % ('a', 'b', 1, 2, 3, 4, 5) }} {{ '%s' % 1 }} {{ '%%' % () }} {{ '%.2e %g %G %g' % (12345.678, 0.0001, 1e-10, 100000) }}
{{ '%c%c %o %X %#x %i' % ('a', 98, 8, 255, 255, -3) }} {{ '%.3s|%10s|%-10s|' % ('abcdef', 'r', 'l') }} {{ '%*d' % (5, 42) }}
{{ '%d' % 'x' }}
{{ '%s %s' % ('a',) }}
{{ '{} {1}'.format(1, 2) }}
{{ '{} {}'.format(1, 'b') }} {{ '{0}{1}{0}'.format('a', 'b') }} {{ '{a}-{b:>5}|{c:<5}|{d:^5}|'.format(a=1, b='r', c='l', d='m') }}
{{ '{:,} {:.2f} {:05d} {:x} {:#x} {:b} {:e} {:%} {:+}'.format(1234567, 3.14159, 42, 255, 255, 5, 12345.6, 0.25, 3) }}
{{ '{0[a]} {0[l][1]} {1!r} {{}}'.format({'a': 1, 'l': [1, 2]}, 'q') }} {{ '{:*^9}'.format('x') }} {{ '{:{w}}|'.format(1, w=4) }}
{{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ words | sort(reverse=true) }} {{ numbers | sort }}
{{ people | sort(attribute='age') | map(attribute='name') | join(',') }} {{ people | sort(attribute='age,name') | map(attribute='name') | list }}
{{ [1, 'a'] | sort }}
{{ people | groupby('age') }}
{% for age, all in people | groupby('age') %}{{ age }}:{{ all | map(attribute='name') | join('+') }};{% endfor %}{% for g in people | groupby('town.name', default='?') %}{{ g.grouper }}={{ g.list | length }} {% endfor %}
{{ numbers | sum }} {{ people | sum(attribute='age') }} {{ [[1], [2]] | sum(start=[]) }} {{ [0.1, 0.2] | sum }} {{ [] | sum }}
{{ numbers | min }} {{ numbers | max }} {{ words | min }} {{ people | max(attribute='age') }} {{ [] | max }}|
{{ words | unique | list }} {{ words | unique(case_sensitive=true) | list }} {{ people | unique(attribute='age') | map(attribute='name') | list }}
{{ numbers | select('odd') | list }} {{ numbers | reject('gt', 2) | list }} {{ [0, 1, '', 'a', none] | select | list }}
{{ people | selectattr('age', 'equalto', 30) | map(attribute='name') | list }} {{ people | rejectattr('town') | map(attribute='name') | list }} {{ people | selectattr('town.name', 'eq', 'Oslo') | list | length }}
{{ words | map('upper') | list }} {{ words | map('replace', 'p', 'P') | join(' ') }} {{ people | map(attribute='town.name', default='-') | list }} {{ people | map(attribute='age') | sum }}
{{ words | join }} {{ numbers | join(', ') }} {{ people | join('/', attribute='name') }} {{ [1, none, true, missing] | join('|') }} {{ 'abc' | join('-') }}
{{ words | first }} {{ words | last }} {{ [] | first }}|{{ 'abc' | first }} {{ 'abc' | last }} {{ data | first }}
{{ numbers | batch(2) | list }} {{ numbers | batch(2, 'x') | list }} {{ numbers | slice(2) | list }} {{ numbers | slice(3, '-') | list }}
{{ numbers | reverse | list }} {{ 'abc' | reverse }} {{ numbers | length }} {{ data | count }}
{{ data | dictsort }} {{ {'B': 1, 'a': 2} | dictsort }} {{ {'b': 1, 'a': 2} | dictsort(by='value') }} {{ {'b': 1, 'a': 2} | dictsort(reverse=true) }}
{{ data | items | list }} {{ missing | items | list }}
{{ data | list }} {{ 'abc' | list }} {{ (1, 2) | list }} {{ {'a': 1} | list }}
{{ missing | default('d') }} {{ '' | default('d') }}|{{ '' | default('d', true) }} {{ none | default('d') }} {{ missing | d(1) }} {{ false | default('f', boolean=true) }}
{{ '5' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ '3.9' | int }} {{ 3.9 | int }} {{ 'ff' | int(base=16) }} {{ '0x1A' | int(0, 16) }} {{ true | int }} {{ none | int }} {{ ' 12 ' | int }}
{{ '5.5' | float }} {{ 'x' | float }} {{ 'x' | float(1.5) }} {{ 3 | float }} {{ '1e3' | float }} {{ 'inf' | float }}
{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.345 | round(2) }} {{ 2.1 | round(0, 'ceil') }} {{ 2.99 | round(1, 'floor') }} {{ 3 | round }} {{ 1234.5 | round(-2) }}
{{ -3 | abs }} {{ (-3.5) | abs }} {{ 1 | filesizeformat }} {{ 1500 | filesizeformat }} {{ 1500000 | filesizeformat }} {{ 1536 | filesizeformat(true) }} {{ 12 | filesizeformat }}
{{ 'hello WORLD' | capitalize }} {{ "it's a-b c" | title }} {{ 'aB' | upper }} {{ 'aB' | lower }} {{ '  x ' | trim }}|{{ 'xxaxx' | trim('x') }} {{ 'mid' | center(9) }}|
{{ 'aaa' | replace('a', 'b', 2) }} {{ 'abc' | replace('', '-') }} {{ 12 | replace(1, 'x') }} {{ text | wordcount }} {{ 5 | string }}{{ 5 | string is string }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'a\nb' | indent('> ') }}
{{ 'Hello big world here' | truncate(11) }} {{ 'Hello big world here' | truncate(11, true) }} {{ 'Hello big world here' | truncate(11, false, '!', 0) }} {{ 'short' | truncate(3) }}
{{ 'one two three four' | wordwrap(9) }}|{{ 'abcdefghij' | wordwrap(4) }}|{{ 'a bcdefgh' | wordwrap(3, false) }}
{{ html | escape }} {{ html | e }} {{ html | safe }} {{ html | striptags }} {{ 'a&amp;b' | striptags }}
{{ 'a b/c?d=é' | urlencode }} {{ {'a': 1, 'b c': 'd&e'} | urlencode }} {{ [('x', 'y z')] | urlencode }}
{{ {'a': 1, 'b': none, 'c': 'x"y'} | xmlattr }}|{{ {'a': 1} | xmlattr(false) }}
{{ data | pprint }} {{ 'x' | pprint }}
{{ data | attr('keys') is callable }} {{ 'x' | attr('nope') is defined }}
{{ data | tojson }}|{{ schema | tojson }}|{{ html | tojson }}|{{ emoji | tojson }}
{{ schema | tojson(indent=2) }}
{{ data | tojson(indent=4, sort_keys=true) }}|{{ [] | tojson(indent=2) }}|{{ {'a': []} | tojson(indent=2) }}
{{ emoji | tojson(ensure_ascii=true) }} {{ {'a': 1, 'b': [1, 2]} | tojson(separators=(',', ':')) }} {{ [1.0, 1e20, true, none, 'é\n"'] | tojson }} {{ {1: 2, none: 3, true: 4} | tojson }}
{{ missing | tojson }}
{{ 5 is number }} {{ 5 is integer }} {{ 5.0 is float }} {{ true is boolean }} {{ true is integer }} {{ true is number }} {{ 'a' is string }} {{ data is mapping }} {{ words is mapping }} {{ words is sequence }} {{ data is sequence }} {{ 'a' is iterable }} {{ 5 is iterable }} {{ none is none }} {{ missing is none }}
{{ 4 is even }} {{ 4 is odd }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 1 is eq 1 }} {{ 1 is ne(2) }} {{ 2 is gt 1 }} {{ 2 is lessthan 1 }} {{ 2 is in [1, 2] }} {{ 2 is not in [1] }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ none is sameas none }} {{ 'a' is lower }} {{ 'A' is upper }} {{ 'upper' is filter }} {{ 'odd' is test }} {{ range is callable }} {{ 'x' is escaped }}
{{ 1 is not defined }} {{ missing is not defined or 1 }} {{ 5 is number and 6 is odd }}
{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(' ', 1) }} {{ 'a b c'.rsplit(' ', 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ ' a b c '.split(none, 1) }} {{ 'a\nb\r\nc'.splitlines() }} {{ ''.split() }} {{ ''.split(',') }}
{{ ' x '.strip() }}|{{ ' x '.lstrip() }}|{{ ' x '.rstrip() }}|{{ 'xyaxy'.strip('xy') }}|{{ 'abc'.removeprefix('a').removesuffix('c') }}
{{ 'abc'.startswith('a') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'abc'.startswith('b', 1) }} {{ 'abcabc'.find('c') }} {{ 'abc'.find('z') }} {{ 'abcabc'.rfind('c') }} {{ 'abcabc'.count('bc') }} {{ 'abc'.index('b') }} {{ 'abcabc'.find('a', 1) }}
{{ 'hello world'.title() }} {{ "it's".title() }} {{ 'hELLO'.capitalize() }} {{ 'aBc'.swapcase() }} {{ 'aBc'.upper() }} {{ 'aBc'.lower() }} {{ 'ß'.upper() }} {{ 'Straße'.casefold() }}
{{ 'a'.center(5) }}|{{ 'ab'.center(5, '*') }}|{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '-') }}|{{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ 'a\tb'.expandtabs(4) }}
{{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('x') }} {{ ','.join(words) }} {{ 'aXbX'.replace('X', 'y', 1) }}
{{ 'abc'.isalpha() }} {{ '12'.isdigit() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'a'.islower() }} {{ 'A1'.isupper() }} {{ 'Ab Cd'.istitle() }} {{ 'a_1'.isidentifier() }} {{ '1.5'.isdecimal() }} {{ 'é'.isascii() }} {{ ''.isalpha() }}
{{ ','.join([1]) }}
{{ 'abc'.index('z') }}
{{ data.get('b') }} {{ data.get('q') }} {{ data.get('q', 5) }} {{ data.copy() == data }} {{ dict(a=1, b=2) }} {{ dict([('a', 1)], c=3) }} {{ dict({'x': 1}) }}
{{ [1, 2, 1].count(1) }} {{ [1, 2].index(2) }} {{ (1, 2).count(1) }}
{{ [1].append(2) }}
{{ data.update({'a': 1}) }}
{{ data.__class__ }}|{{ ''.__class__.mro() }}
{{ (5).bit_length() }} {{ 5.0.is_integer() }} {{ 5 .real }}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{% set j = joiner('; ') %}{% for i in [1, 2] %}{{ j() }}{{ i }}{% endfor %}
{{ raise_exception('not like this') }}
{{ unknown_function(1) }}
{{ 'x' | nosuchfilter }}
{{ 1 is nosuchtest }}
{% nosuchtag %}
{% if true %}
{{ 1 + }}
{{ (1 }}
{% for x in %}{% endfor %}
{{ 1 / 0 }}
{{ 1 + 'a' }}
{{ 'a' + 1 }}
{{ [1] + 1 }}
{{ none + 1 }}
{{ 'a' < 1 }}
{{ 5() }}
{{ 5 | length }}
{{ range(100001) }}
{% if tools is none %}none{% endif %}{% if tools is not none %}some{% endif %}{% if documents %}d{% endif %}{{ tools is defined }}
{% for m in messages %}{{ m.role }}:{{ m['content'] if m.content is string else m.content[0].text }}{{ m.tool_calls is defined }};{% endfor %}
{{ messages[-1]['content'][0]['type'] }} {{ messages | length }} {{ messages[0].content.strip() }} {{ messages[1:] | length }} {{ (messages | last).role }}
{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | map(attribute='role') | join(',') }} {{ messages[2].tool_calls[0].function.arguments | tojson }}
{% block greeting %}hi {{ bos_token }}{% endblock %}{% block b scoped %}x{% endblock b %}
{% print 'p' %}{{ loop is defined }}{{ self is defined }}
{% autoescape false %}{{ '<' }}{% endautoescape %}
{{ 'été naïve'.title() }} {{ 'ÀÉ'.lower() }} {{ 'naïve' | length }} {{ 'é' in 'été' }}
{{ {'a': 1, **{}} }}
{{ dict(**{'a': 1}) }} {% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 3, 'b': 4}) }}
{{ {1: 'i', 1.5: 'f', 'k': 's', none: 'n', (1, 2): 't'} }} {{ {1: 'a'}[true] }} {{ {'a': 1}['b'] | default('-') }}
{{ "q'q" | list | pprint }} {{ ['a"b', "a'b", 'a\nb', 'é', '\x00', '\u200b'] }}
{{ namespace }}|
{{ 2 ** 64 }} {{ 9223372036854775807 + 1 }} {{ 10 ** 20 // 3 }}
{{ words.0 }} {{ people[0].town.name }} {{ people.0['name'] }}
{{ 1 if missing is defined and missing.x else 2 }} {{ (missing | default({})).x | default('deep') }}
{{ ('a', 'b') | join }}{{ 'x' if 'a' in ('a', 'b') else 'y' }}{{ 'A' 'B' | lower }}
""".strip("\n").split("\n")

# Line ends and blanks around tags, which cannot be on one line.
LINES = [
    "a\n{% if true %}\nb\n{% endif %}\nc\n",
    "a\n  {% if true %}  \n  b\n  {% endif %}\nc\n\n",
    "{% for x in [1, 2] %}\n  {{ x }}\n{% endfor %}\n",
    "a\r\nb\rc\r\n{% if true %}\r\nd{% endif %}",
    "  {# note #}\n  x {# note #}\ny",
    "\n\n{{- 'a' -}}\n\n b",
    "{%- for m in messages -%}\n  {{- m.role -}}\n{%- endfor -%}\n",
    "  {%+ if true %}\n x\n  {%- endif +%}\n y",
    "{% raw %}\n  {{ a }}\n  {% endraw %}\nz",
    "{% set x %}\n a\n{% endset %}\n[{{ x }}]",
    "\t{% if true %}\tx\t{% endif %}\t\n",
    "a\n\n",
    "{{ 'a\nb' }}\n  {{ 1 }}\n",
    "x {% if true %} y {% endif %}\n z",
    "{{ missing.x\n}}",
    "one\ntwo {{ 1 + }}",
]

# Constructions of the chat templates of OLMo 2 and 3, Tulu, Llama 3, Qwen 2.5 and 3, Mistral, ChatML and Zephyr,
# written for this repository.
CHAT = {
    "chatml": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + (message['content'] if message['content'] is string else message['content'][0]['text']) + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' ~ message['content'] ~ eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    "llama": "{{- bos_token }}\n{%- if custom_tools is defined %}\n    {%- set tools = custom_tools %}\n{%- endif %}\n{%- if not date_string is defined %}\n    {%- set date_string = \"26 Jul 2024\" %}\n{%- endif %}\n{%- if not tools is defined %}\n    {%- set tools = none %}\n{%- endif %}\n{%- if messages[0]['role'] == 'system' %}\n    {%- set system_message = messages[0]['content']|trim %}\n    {%- set messages = messages[1:] %}\n{%- else %}\n    {%- set system_message = \"\" %}\n{%- endif %}\n{{- \"<|start|>system<|end|>\\n\\n\" }}\n{%- if tools is not none %}\n    {{- \"Environment: ipython\\n\" }}\n{%- endif %}\n{{- \"Today: \" + date_string + \"\\n\\n\" }}\n{{- system_message }}\n{%- for message in messages %}\n    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}\n        {{- '<|start|>' + message['role'] + '<|end|>\\n\\n'+ message['content'] | string | trim }}\n    {%- elif 'tool_calls' in message %}\n        {%- if not message.tool_calls|length == 1 %}\n            {{- raise_exception(\"one only\") }}\n        {%- endif %}\n        {%- set tool_call = message.tool_calls[0].function %}\n        {{- '{\"name\": \"' + tool_call.name + '\", ' }}\n        {{- '\"parameters\": ' }}\n        {{- tool_call.arguments | tojson }}\n        {{- \"}\" }}\n    {%- endif %}\n{%- endfor %}\n",
    "qwen": "{%- macro show(content) -%}{{ content if content is string else content | map(attribute='text') | join }}{%- endmacro -%}\n{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.multi_step_tool and message.role == \"user\" and not(message.content is string and message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}\n        {%- set ns.multi_step_tool = false %}\n        {%- set ns.last_query_index = index %}\n    {%- endif %}\n{%- endfor %}\n{{ ns.last_query_index }}\n{%- for tool in schema %}\n    {{- \"\\n\" }}\n    {{- tool | tojson }}\n{%- endfor %}\n{%- for message in messages %}\n{%- if (message.role == \"user\") or (message.role == \"system\" and not loop.first) %}\n{{- show(message.content) }}\n{%- endif %}\n{%- if loop.last or (not loop.last and message.reasoning) %}\n{{- '<think>' + show(message.content).split('</think>')[-1].lstrip('\\n') }}\n{%- endif %}\n{%- endfor %}\n{%- if enable_thinking is defined and enable_thinking is false %}x{%- endif %}\n",
    "mistral": "{%- if messages[0][\"role\"] == \"system\" %}\n    {%- set system_message = messages[0][\"content\"] %}\n    {%- set loop_messages = messages[1:] %}\n{%- endif %}\n{{- bos_token }}\n{%- for message in loop_messages %}\n    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\n        {{- raise_exception('Conversation roles must alternate') }}\n    {%- endif %}\n    {%- if message['role'] == 'user' %}\n        {%- if loop.first and system_message is defined %}\n            {{- ' [INST] ' + system_message + '\\n\\n' + message['content']|string + ' [/INST]' }}\n        {%- else %}\n            {{- ' [INST] ' ~ message['content'] ~ ' [/INST]' }}\n        {%- endif %}\n    {%- else %}\n        {{- ' ' + message['content'] + eos_token}}\n    {%- endif %}\n{%- endfor %}\n",
    "olmo": "{{ bos_token }}{% set has_system = messages|selectattr('role', 'equalto', 'system')|list|length > 0 %}{% if not has_system %}{{ '<|system|>\nnone\n' }}{% endif %}{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\n' + message['content'] + '\n' }}{% elif message['role'] == 'user' %}{{ '<|user|>\n' ~ message['content'] ~ '\n' }}{% elif message['role'] == 'assistant' %}{% if not loop.last %}{% generation %}{{ '<|assistant|>\n'  + message['content'] + eos_token + '\n' }}{% endgeneration %}{% else %}{{ '<|assistant|>\n'  + message['content'] + eos_token }}{% endif %}{% endif %}{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}{% endfor %}",
    "tool environment": "{%- if messages[0].functions is defined and messages[0].functions is not none -%}f{%- endif -%}{% for m in messages %}{% if m.get('tool_calls', none) is not none %}{% for c in m.tool_calls %}{{ c.function.name }}({% for k, v in c.function.arguments.items() %}{{ k }}={{ v | tojson }}{% if not loop.last %}, {% endif %}{% endfor %}){% endfor %}{% endif %}{% endfor %}",
}

TIME = "%a %A %w %d %b %B %m %y %Y %H %I %p %M %S %j %U %W %c %x %X %G %u %V %% %e %D %F %T %R %r %h %C %g %k %l %P %-d %-m %_d %^a %^B %-I %f"
MOMENTS = ["2024-02-29T13:05:09.001234", "2021-01-03T00:00:00", "2020-12-31T23:59:59", "2026-11-29T09:08:07", "1999-07-04T12:00:00", "2000-01-01T01:02:03"]


def render(template):
    from transformers.utils.chat_template_utils import _compile_jinja_template

    try:
        return {"template": template, "text": _compile_jinja_template(template).render(**VARIABLES)}
    except Exception as error:  # noqa: BLE001: that it is refused is the answer
        return {"template": template, "error": type(error).__name__, "message": str(error)}


def main():
    import datetime

    import jinja2
    import transformers

    out = out_dir(__doc__)
    cases = [render(template) for template in [*TEMPLATES, *LINES, *CHAT.values()]]
    times = [
        {"iso": moment, "format": part, "text": datetime.datetime.fromisoformat(moment).strftime(part)}
        for moment in MOMENTS
        for part in TIME.split(" ")
    ]
    versions = {"jinja2": jinja2.__version__, "transformers": transformers.__version__}
    write_json(out / "jinja.json", {"versions": versions, "variables": VARIABLES, "cases": cases, "times": times})


if __name__ == "__main__":
    main()
