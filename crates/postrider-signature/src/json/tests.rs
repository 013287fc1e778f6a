use super::*;

fn refusal(input: impl AsRef<[u8]>) -> (String, usize, JsonErrorKind) {
    let input = input.as_ref();
    let error = minify(input).expect_err(&String::from_utf8_lossy(&input[..input.len().min(80)]));
    (error.pointer, error.offset, error.kind)
}

fn kind(input: impl AsRef<[u8]>) -> JsonErrorKind {
    refusal(input).2
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("{}1{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn white_space_goes_and_nothing_else_changes() {
    let input =
        " {\r\n\t\"a b\" : [ 1.0 , -0 , 1E+3 , \"\\u00e9 \\/\" ] , \"\" : { } ,\"c\": [ ] } \n";
    let expected = "{\"a b\":[1.0,-0,1E+3,\"\\u00e9 \\/\"],\"\":{},\"c\":[]}";
    assert_eq!(String::from_utf8(minify(input.as_bytes()).unwrap()).unwrap(), expected);
    for text in ["null", "true", "false", "0", "\"\"", "\"é😀\u{7f}\u{2028}\"", "[]", "{}"] {
        assert_eq!(minify(text.as_bytes()).unwrap(), text.as_bytes());
        assert_eq!(minify(format!(" {text}\t").as_bytes()).unwrap(), text.as_bytes());
    }
}

#[test]
fn what_is_not_json_is_a_syntax_error() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\",1}",
        "[1}",
        "{\"a\":1]",
        "{}{}",
        "1 2",
        "01",
        "-",
        "-01",
        "+1",
        ".5",
        "1.",
        "1.e1",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "nul",
        "nulll",
        "True",
        "tru",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "\"a\nb\"",
        "\"\0\"",
        "\"\u{1}\"",
        "\u{b}1",
        "\u{a0}1",
        "//\n1",
        "[1 2]",
        "\u{feff}{}",
    ] {
        assert!(matches!(kind(text), JsonErrorKind::Syntax(_)), "{text:?}: {}", kind(text));
    }
    for mark in [&b"\xFF\xFE{\0}\0"[..], b"\xFE\xFF\0{\0}"] {
        assert!(matches!(kind(mark), JsonErrorKind::Syntax(_)));
    }
}

#[test]
fn each_cause_has_its_kind_and_place() {
    let check = |input: &[u8], pointer: &str, offset: usize, kind: JsonErrorKind| {
        assert_eq!(refusal(input), (pointer.to_owned(), offset, kind), "{}", input.escape_ascii());
    };
    check(br#"{"a":[1e400]}"#, "/a/0", 6, JsonErrorKind::NumberOverflow);
    check(br#"{"a":-1e309}"#, "/a", 5, JsonErrorKind::NumberOverflow);
    check(br#"{"a":"x\ud800"}"#, "/a", 7, JsonErrorKind::LoneSurrogate);
    check(br#"{"a":["\udc00"]}"#, "/a/0", 7, JsonErrorKind::LoneSurrogate);
    check(br#"["\ud83d\u0041"]"#, "/0", 2, JsonErrorKind::LoneSurrogate);
    check(br#"{"\ud800":1}"#, "", 2, JsonErrorKind::LoneSurrogate);
    check(b"{\"a\":[1,\"\xED\xA0\x80\"]}", "/a/1", 9, JsonErrorKind::InvalidUtf8);
    check(b"\xff", "", 0, JsonErrorKind::InvalidUtf8);
    check(br#"{"a":{"__proto__":1}}"#, "/a/__proto__", 6, JsonErrorKind::ForbiddenKey);
    check(br#"{"\u005f_proto_\u005F":1}"#, "/__proto__", 1, JsonErrorKind::ForbiddenKey);
    let pointer = "/constructor/prototype";
    check(br#"{"constructor":{"a":1,"prototype":1}}"#, pointer, 22, JsonErrorKind::ForbiddenKey);
    check(
        br#"{"constructo\u0072":{"prot\u006ftype":1}}"#,
        pointer,
        21,
        JsonErrorKind::ForbiddenKey,
    );
    check(br#"{"a":1 "b":2}"#, "/a", 7, JsonErrorKind::Syntax("expected `,` or `}`"));
}

#[test]
fn the_first_fault_wins_over_later_bytes_that_are_not_utf8() {
    assert_eq!(kind(b"[1e400,\xff]"), JsonErrorKind::NumberOverflow);
    assert_eq!(kind(b"[1,\xff]"), JsonErrorKind::InvalidUtf8);
    let deep = [&b"[".repeat(100_000)[..], b"\xff"].concat();
    assert_eq!(kind(deep), JsonErrorKind::TooDeep);
}

#[test]
fn harmless_keys_pass() {
    for text in [
        r#"{"prototype":{"constructor":1}}"#,
        r#"{"constructor":"a"}"#,
        r#"{"constructor":{"a":{"prototype":1}}}"#,
        r#"{"constructor":[{"prototype":1}]}"#,
        r#"[{"constructor":1},{"prototype":1}]"#,
        r#"{"constructor":1,"a":{"prototype":1}}"#,
        r#"{"constructor":{},"prototype":1}"#,
        r#"{"__proto":1,"_proto__":2,"__PROTO__":3,"a":"__proto__"}"#,
    ] {
        assert_eq!(minify(text.as_bytes()).unwrap(), text.as_bytes());
    }
}

#[test]
fn depth_is_bounded_and_refused_cheaply() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        assert!(minify(nested(open, close, DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(kind(nested(open, close, DEPTH_MAX + 1)), JsonErrorKind::TooDeep);
        assert_eq!(kind(nested(open, close, 100_000)), JsonErrorKind::TooDeep);
        let within = |depth, outer| minify_within(nested(open, close, depth).as_bytes(), outer);
        assert!(within(DEPTH_MAX + 2, 2).is_ok());
        assert!(within(DEPTH_MAX + 3, 2).is_err());
        assert!(within(128, 1_000).is_ok());
        assert!(within(129, 1_000).is_err());
    }
    let (pointer, offset, _) = refusal(nested("[", "]", 65));
    assert_eq!((pointer, offset), ("/0".repeat(64), 64));
}

#[test]
fn numbers_are_checked_at_the_edge_of_a_double() {
    for text in ["1.7976931348623157e308", "-1.7976931348623158e308", "1e-400", "0e999999"] {
        assert!(minify(text.as_bytes()).is_ok(), "{text}");
    }
    let big = |digits: usize| "9".repeat(digits);
    assert!(minify(big(308).as_bytes()).is_ok());
    for text in
        ["1.7976931348623159e308", "1e309", "1E+0400", &big(309), &format!("{}e200", big(200))]
    {
        assert_eq!(kind(text), JsonErrorKind::NumberOverflow, "{text}");
    }
    assert_eq!(kind(big(1_000_000)), JsonErrorKind::NumberOverflow);
    assert!(minify(format!("0.{}", big(1_000_000)).as_bytes()).is_ok());
}
