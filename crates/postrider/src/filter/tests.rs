use postrider_core::matching::Verdict;

use super::*;

fn verdict(filter: &str, data: &str) -> Verdict {
    let filter = Filter::compile(filter).unwrap();
    subject(data).verdict(&filter)
}

fn subject(data: &str) -> Subject {
    let event_type = "code.generated".parse().unwrap();
    Subject::new(&event_type, 1_700_000_000_000, data.as_bytes())
}

/// Does `filter` say `expected` of `data`?
fn check(filter: &str, data: &str, expected: bool) {
    let expected = if expected { Verdict::Yes } else { Verdict::No };
    assert_eq!(verdict(filter, data), expected, "{filter}");
}

fn failure(filter: &str, data: &str) -> String {
    match verdict(filter, data) {
        Verdict::Failed(why) => why.to_string(),
        other => panic!("{filter}: {other:?}"),
    }
}

fn refused(text: &str) -> FilterError {
    Filter::compile(text).unwrap_err()
}

#[test]
fn filters_as_people_write_them() {
    let data = r#"{"severity":"high","repository":"acme/web","files":3,"ratio":1.5,
        "labels":["a","b"],"items":[{"sku":"x","n":2},{"sku":"y","n":5}],"open":true,"by":null}"#;
    let both = r#"data.severity == "high" && data.repository.startsWith("acme/")"#;
    check(both, data, true);
    check(both, r#"{"severity":"low","repository":"acme/web"}"#, false);
    check("type.startsWith('code.') && data.files + 1 == 4", data, true);
    check("timestamp > '2023-11-14T00:00:00.000Z'", data, true);
    check("data.files % 2 == 0 || data.ratio >= 1.5", data, true);
    check("'b' in data.labels && !('c' in data.labels)", data, true);
    check("data.severity in ['low', 'high']", data, true);
    check("data.items.exists(i, i.sku == 'y' && i.n > 3)", data, true);
    check("data.items.all(i, i.n > 3)", data, false);
    check("data.items.filter(i, i.n > 3).map(i, i.sku) == ['y']", data, true);
    check("size(data.items.map(i, i.sku)) == 2", data, true);
    check("has(data.severity) && !has(data.other)", data, true);
    check("data.open ? data.files == 3 : false", data, true);
    check("data.by == null", data, true);
    check("data['severity'] == 'high' && data.items[1].n == 5", data, true);
    check("data == 7", "7", true);
    check("data.n == 9007199254740993", r#"{"n":9007199254740993}"#, true);
    check("data.n == 18446744073709551615u", r#"{"n":18446744073709551615}"#, true);
}

#[test]
fn a_filter_that_comes_to_no_answer_says_why_in_few_words() {
    assert_eq!(failure("data.severity == 'high'", "{}"), "there is no severity in it");
    assert_eq!(failure("data.a", r#"{"a":1}"#), "it says something else than true or false");
    assert_eq!(failure("data.a / 0 == 1", r#"{"a":1}"#), "a division by zero");
    assert_eq!(failure("data.a > 'x'", r#"{"a":1}"#), "> does not go with int and string");
    let long = format!(r#"{{"k":"{}"}}"#, "x".repeat(5_000));
    assert!(failure("data[data.k] == 1", &long).len() < 100);
}

#[test]
fn what_is_wrong_with_a_filter_is_told_with_its_place() {
    let error = refused("data.a == 1 &&\n  == 2");
    assert_eq!((error.line, error.column), (2, 3));
    let error = refused("data.a == 1 ||\n  dta.b == 1");
    assert_eq!((error.line, error.column), (2, 3), "{error}");
    assert_eq!(error.message, "there is no such name; there are type, timestamp and data");
    assert_eq!(refused(&"(".repeat(500)).message, "nested too deep to be read");
    for text in ["", "data.a ==", "'abc", "matches(data.a, 'x')", "x.f()", "Message{a: 1}", "a b"] {
        refused(text);
    }
    assert!(refused("data.map(x, x").message.len() <= 2 * MESSAGE_CHARS_MAX);
}

#[test]
fn what_the_parser_says_is_told_in_plain_words() {
    for (text, place, message) in [
        ("", (1, 1), "the expression ends too early"),
        ("data.a &&", (1, 10), "the expression ends too early"),
        ("data.a ==\n  ", (2, 3), "the expression ends too early"),
        ("data.map(x, x", (1, 14), "the expression ends too early"),
        ("a b", (1, 3), "unexpected `b`"),
        ("data.a == )", (1, 11), "unexpected `)`"),
        ("data.a == 1 &&\n  == 2", (2, 3), "unexpected `==`"),
        ("data.a @ 1", (1, 8), "unexpected `@`"),
        (
            "timestamp > timestamp('2026-01-31T00:00:00Z')",
            (1, 22),
            "timestamp is a text to compare with one: timestamp > '2026-01-31'",
        ),
    ] {
        let error = refused(text);
        assert_eq!(((error.line, error.column), &*error.message), (place, message), "{text}");
    }
}

#[test]
fn macros_nest_two_deep_at_most() {
    let two = "data.a.all(x, x.b.all(y, y > 0))";
    check(two, r#"{"a":[{"b":[1,2]},{"b":[3]}]}"#, true);
    let three = "data.a.all(x, data.a.all(y, data.a.all(z, z > 0)))";
    assert!(refused(three).message.contains("nest at most 2"));
}

/// Texts that are as deep or as long as their length allows, in every way that the grammar has.
fn hostile_texts() -> Vec<String> {
    let full = |text: &str| text.repeat(FILTER_BYTES_MAX / text.len());
    let half = |open: &str, close: &str| {
        let count = (FILTER_BYTES_MAX - 1) / (open.len() + close.len());
        format!("{}1{}", open.repeat(count), close.repeat(count))
    };
    let after = |first: &str, rest: &str| {
        let count = (FILTER_BYTES_MAX - first.len()) / rest.len();
        format!("{first}{}", rest.repeat(count))
    };
    vec![
        half("(", ")"),
        half("[", "]"),
        half("{1:", "}"),
        half("size(", ")"),
        half("data.all(x,", ")"),
        half("data[", "]"),
        half("true?", ":1"),
        half("!(", ")"),
        after("", "("),
        after("data", ".a"),
        after("data", "[0]"),
        after("data", ".size()"),
        after("[1]", ".map(a,a)"),
        after("data", ".map(x,data)"),
        after("1", "+1"),
        after("1", "==1"),
        after("true", "||true"),
        format!("{}true", full("!")[4..].to_owned()),
        format!("{}1", full("-")[1..].to_owned()),
        format!("{}1", full("!-")[2..].to_owned()),
        format!("{}1", full("true?1:")[7..].to_owned()),
        full("\"'"),
        full("$%^"),
        full("`"),
        full("\u{1f980}"),
        "(".repeat(200_000),
        format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000)),
    ]
}

#[test]
fn hostile_texts_are_refused_or_harmless() {
    let data = r#"{"a":[1,2,3]}"#;
    for text in hostile_texts() {
        if let Ok(filter) = Filter::compile(&text) {
            // on a thread as small as any that events are published on
            let thread = std::thread::Builder::new().stack_size(1 << 20);
            thread.spawn(move || subject(data).verdict(&filter)).unwrap().join().unwrap();
        }
    }
}

#[test]
fn what_would_take_too_long_on_an_event_is_not_begun() {
    let list = format!(r#"{{"l":[{}0],"s":"{}"}}"#, "1,".repeat(2_999), "x".repeat(100_000));
    for filter in [
        "data.l.all(x, data.l.all(y, x + y >= 0))",
        "data.l.map(x, data.l.map(y, [x, y])) != []",
        "data.l.map(x, data) != []",
        "data.l.all(x, data.s + data.s != data.s)",
        "data.l.all(x, data.s.contains('xxxxy') || true)",
        "data.l.all(x, data == data)",
        "[1,2,3,4,5,6,7,8,9].all(x, [1,2,3,4,5,6,7,8,9].all(y, data.l == data.l))",
        "data.l.map(a, data.l).map(b, b) != []",
    ] {
        assert_eq!(
            failure(filter, &list),
            "it would take too long on an event as large as this one",
            "{filter}"
        );
    }
    check("data.l.exists(x, x == 0)", &list, true);
    check("data.s.contains('xy')", &list, false);
    check("size(data.l) == 3000 && data.s.startsWith('xx')", &list, true);
}

#[test]
fn chains_of_doubling_stay_small() {
    let chain = ".map(a, a + a)".repeat(130);
    let filter = format!("['xxxxxxxxxxxxxxxx']{chain} != []");
    let Ok(filter) = Filter::compile(&filter) else { return };
    assert!(matches!(subject("1").verdict(&filter), Verdict::Failed(_)));
}

#[test]
fn a_costly_filter_leaves_enough_for_the_others() {
    let data = format!(r#"{{"l":[{}0]}}"#, "1,".repeat(2_000));
    let costly = Filter::compile("data.l.all(x, x >= 0)").unwrap();
    let cheap = Filter::compile("data.l[0] == 1").unwrap();
    let mut subject = subject(&data);
    let answered = (0..1_000).take_while(|_| subject.verdict(&costly) == Verdict::Yes).count();
    assert!((2..1_000).contains(&answered), "{answered}");
    assert_eq!(subject.verdict(&cheap), Verdict::Yes);
}

#[test]
fn data_beyond_what_filters_see_is_said_to_be() {
    let large = format!("\"{}\"", "x".repeat(300_000));
    assert_eq!(failure("true", &large), "filters look at no more than 256 KiB of data");
}
