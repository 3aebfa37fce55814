//! Templates: what jinja2 makes of them, and that none can take a process with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use olmo_core::jinja::fault::{Fault, FaultKind};
use olmo_core::jinja::{Data, Now, Template};
use proptest::prelude::*;

fn golden() -> Data {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/jinja.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn items<'d>(data: &'d Data, name: &str) -> &'d [Data] {
    match data.get(name) {
        Some(Data::List(items)) => items,
        other => panic!("{name}: {other:?}"),
    }
}

fn text<'d>(data: &'d Data, name: &str) -> &'d str {
    data.get(name).and_then(Data::as_text).unwrap()
}

fn render_with(source: &str, variables: &[(String, Data)]) -> Result<String, Fault> {
    Template::new(source)?.render(variables, Now::default(), Arc::default())
}

fn render(source: &str) -> Result<String, Fault> {
    render_with(source, &[])
}

/// What is written where Python shows an address.
fn is_the_same(theirs: &str, ours: &str) -> bool {
    theirs == ours || theirs.contains(" object at 0x") || theirs.contains("<class '")
}

#[test]
fn every_feature_is_as_in_jinja2() {
    let golden = golden();
    let Some(Data::Dict(variables)) = golden.get("variables") else { panic!() };
    let mut wrong = Vec::new();
    for case in items(&golden, "cases") {
        let source = text(case, "template");
        let ours = render_with(source, variables);
        let theirs = case.get("text").and_then(Data::as_text);
        match (theirs, &ours) {
            (Some(theirs), Ok(ours)) if is_the_same(theirs, ours) => {}
            (None, Err(_)) => {}
            (theirs, ours) => {
                wrong.push(format!("{source}\n  theirs {theirs:?}\n  ours   {ours:?}"))
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn times_are_as_in_python() {
    for case in items(&golden(), "times") {
        let (iso, format) = (text(case, "iso"), text(case, "format"));
        let number = |from: usize, to: usize| iso[from..to].parse::<i64>().unwrap();
        let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
        // Days since 1970, counted one by one.
        let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = |year: i64, month: i64| match month {
            2 => 28 + i64::from(is_leap(year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let years: i64 = (1970..year).map(|year| 365 + i64::from(is_leap(year))).sum();
        let days = years + (1..month).map(|month| length(year, month)).sum::<i64>() + day - 1;
        let seconds = ((days * 24 + number(11, 13)) * 60 + number(14, 16)) * 60 + number(17, 19);
        let micros = iso.get(20..26).map_or(0, |digits| digits.parse().unwrap());
        let now = Now { local_micros: seconds * 1_000_000 + micros, offset_seconds: 0 };
        let template = Template::new("{{ strftime_now(f) }}").unwrap();
        let variables = [("f".to_owned(), Data::Text(format.to_owned()))];
        let ours = template.render(&variables, now, Arc::default()).unwrap();
        assert_eq!(ours, text(case, "text"), "{iso} {format}");
    }
}

const HOSTILE: &[&str] = &[
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% for a in range(1000000000) %}{% endfor %}",
    "{{ range(10**18) }}",
    "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('a', 'aa') %}{% endfor %}",
    "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
    "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | tojson }}",
    "{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}",
    "{% set ns = namespace(s=[1]) %}{% for i in range(99999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}",
    "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{{ 'a' * 10**12 }}",
    "{{ 'a' * 10**30 }}",
    "{{ [1] * 10**12 }}",
    "{{ '%999999999d' % 1 }}",
    "{{ '%.999999999f' % 1 }}",
    "{{ '%*d' % (999999999999, 1) }}",
    "{{ '{:999999999}'.format(1) }}",
    "{{ '{:.999999999f}'.format(1.5) }}",
    "{{ 'x'.center(10**9) }}",
    "{{ 'x' | center(10**9) }}",
    "{{ 'x'.zfill(10**9) }}",
    "{{ '\t'.expandtabs(10**9) }}",
    "{{ 'x\ny' | indent(10**9) }}",
    "{{ [[1]] | tojson(indent=10**9) }}",
    "{{ [1] | batch(10**9, 0) | list }}",
    "{{ [1] | slice(10**9) | list }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ strftime_now('%999999999d') }}",
    "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s }}{% endfor %}",
    "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{% if s.find('b') > 0 %}{% endif %}{% endfor %}",
    "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{% if s | length < 5 %}{% endif %}{% endfor %}",
];

#[test]
fn what_would_take_too_much_is_refused() {
    let deep = |begin: &str, end: &str| format!("{}1{}", begin.repeat(20_000), end.repeat(20_000));
    let deeply = [
        deep("(", ")"),
        format!("{{{{ {} }}}}", deep("(", ")")),
        format!("{{{{ {} }}}}", deep("[", "]")),
        format!("{{{{ {}1 }}}}", "not ".repeat(50_000)),
        format!("{{{{ {}1 }}}}", "-".repeat(50_000)),
        format!("{{{{ 1{} }}}}", "+1".repeat(50_000)),
        format!("{{{{ 1{} }}}}", "**1".repeat(50_000)),
        format!("{{{{ x{} }}}}", ".a".repeat(50_000)),
        format!("{{{{ x{} }}}}", "|upper".repeat(50_000)),
        format!("{{{{ 1{} }}}}", " if 1 else 1".repeat(50_000)),
        "{% if 1 %}".repeat(50_000),
        "{% for x in [1] %}".repeat(50_000),
        "a".repeat(3 << 20),
    ];
    let hostile = HOSTILE.iter().map(|source| source.to_string());
    for source in hostile.chain(deeply) {
        let start = &source[..source.len().min(100)];
        if source.starts_with('(') {
            assert!(render(&source).is_ok(), "{start}");
            continue;
        }
        let fault = render(&source).map(|text| text.len()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Limit, "{start}: {fault:?}");
    }
}

#[test]
fn a_failure_says_its_line() {
    for (source, line, word) in [
        ("a\nb {{ 1 + }}", 2, "unexpected"),
        ("a\n\n{{ x.y }}", 3, "'x' is undefined"),
        ("{% for a in [1] %}\n{{ a / 0 }}\n{% endfor %}", 2, "division by zero"),
        ("{% macro m() %}\n\n{{ raise_exception('no') }}{% endmacro %}\n{{ m() }}", 3, "no"),
        ("{% if x %}\n", 1, "endif"),
    ] {
        let fault = render(source).unwrap_err();
        assert!(fault.message.contains(word), "{source}: {fault:?}");
        assert_eq!(fault.line, line, "{source}: {fault:?}");
    }
}

#[test]
fn a_rendering_can_be_taken_back() {
    let source = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    let template = Template::new(source).unwrap();
    let kind = |pause| {
        let cancelled = Arc::new(AtomicBool::new(false));
        let flag = cancelled.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(pause);
            flag.store(true, Ordering::Relaxed);
        });
        let fault = template.render(&[], Now::default(), cancelled).unwrap_err();
        thread.join().unwrap();
        fault.kind
    };
    // On a busy machine the limit of steps may be reached first.
    let mut pauses = [20, 10, 5, 2, 1, 0].map(Duration::from_millis).into_iter();
    assert!(pauses.any(|pause| kind(pause) == FaultKind::Cancelled));
}

const PIECES: [&str; 60] = [
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "{%- ",
    " -%}",
    "{# ",
    " #}",
    "if x",
    "endif",
    "for a in x",
    "endfor",
    "else",
    "set x = ",
    "x",
    "a",
    "loop.index",
    "loop(x)",
    "recursive",
    "macro m(a)",
    "endmacro",
    "m(m)",
    "m()",
    "call m()",
    "endcall",
    "filter upper",
    "endfilter",
    "raw",
    "endraw",
    "|",
    "~",
    "+",
    "*",
    "**",
    "%",
    "//",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    ":",
    "'s'",
    "\"",
    "1",
    "99999999999",
    "1.5",
    "upper",
    "join(x)",
    "tojson",
    "is ",
    "not ",
    "in ",
    "x[::-1]",
    "'%9d'",
    ".format(x)",
    "é",
    "\n",
];

const EXPRESSIONS: [&str; 24] = [
    "x",
    "x ~ x",
    "x + x",
    "x * 9",
    "[x, x]",
    "x[::-1]",
    "x | list",
    "x | join(x)",
    "x | tojson",
    "x | string",
    "{'a': x}",
    "x | sort",
    "x | groupby(0)",
    "x | map('upper') | list",
    "x == x",
    "x in x",
    "range(9) | list",
    "'%s' % x",
    "x | replace('a', x)",
    "x | batch(2) | list",
    "x | wordwrap(3)",
    "x | length",
    "x.split('a')",
    "x | center(99)",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_more_than_refused(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
        let _ = render(&pieces.join(" "));
        let _ = render(&pieces.concat());
    }
}

proptest! {
    // Each of these may go to the limits.
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    #[test]
    fn no_computation_is_more_than_refused(
        first in prop::sample::select(&["'ab'", "['b', 'a']", "{'a': 1}", "-7", "2.5", "none"][..]),
        steps in prop::collection::vec(prop::sample::select(&EXPRESSIONS[..]), 1..12),
        rounds in 1..40,
    ) {
        let steps: String = steps.iter().map(|step| format!("{{% set ns.x = ({}) %}}", step.replace('x', "ns.x"))).collect();
        let _ = render(&format!(
            "{{% set ns = namespace(x={first}) %}}{{% for i in range({rounds}) %}}{steps}{{% endfor %}}{{{{ ns.x }}}}"
        ));
    }
}
