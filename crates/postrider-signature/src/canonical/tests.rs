use super::*;

fn both(input: &str) -> (String, String) {
    let minified = json::minify(input.as_bytes()).unwrap();
    let text = |form: Cow<'_, [u8]>| String::from_utf8(form.into_owned()).unwrap();
    (
        text(ecma(&minified, NumberPolicy::Refuse).unwrap()),
        text(jcs(&minified, NumberPolicy::Refuse).unwrap()),
    )
}

fn check(input: &str, expected: &str) {
    assert_eq!(both(input).0, expected, "ecma of {input}");
}

fn refusal(input: &str) -> (String, FormErrorKind) {
    let error = ecma(input.as_bytes(), NumberPolicy::Refuse).unwrap_err();
    assert_eq!(jcs(input.as_bytes(), NumberPolicy::Refuse).unwrap_err(), error);
    (error.pointer, error.kind)
}

/// The list at the end of contract §5; what is refused is in `json::tests`.
#[test]
fn every_cause_of_not_being_a_fixed_point_is_mended() {
    check("{ \"a\" :\n[ 1 ,\t2 ] }\r\n", r#"{"a":[1,2]}"#);
    for (number, expected) in [
        ("1.0", "1"),
        ("1.10", "1.1"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1e21", "1e+21"),
        ("0.0000001", "1e-7"),
        ("1e-6", "0.000001"),
        ("1000000000000000000000", "1e+21"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e5", "0"),
        ("0.30000000000000000004", "0.3"),
        ("1e-400", "0"),
    ] {
        check(&format!("[{number}]"), &format!("[{expected}]"));
    }
    for (string, expected) in [
        (r"\u00e9", "é"),
        (r"\u0041", "A"),
        (r"\/", "/"),
        (r"\u0022", r#"\""#),
        (r"\u005c", r"\\"),
        (r"\u000a", r"\n"),
        (r"\u001F", r"\u001f"),
        (r"\u00E9", "é"),
        (r"\u007f", "\u{7f}"),
        (r"\u2028", "\u{2028}"),
        (r"\ud83d\ude00", "😀"),
        (r"\u003c", "<"),
    ] {
        check(&format!("[\"{string}\"]"), &format!("[\"{expected}\"]"));
    }
    check(r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#);
    check(r#"{"a":1,"b":2,"\u0061":3}"#, r#"{"a":3,"b":2}"#);
    check(r#"{"b":0,"10":1,"9":2,"a":3}"#, r#"{"9":2,"10":1,"b":0,"a":3}"#);
}

#[test]
fn what_is_fixed_already_is_borrowed() {
    for text in ["1e+21", "1e-7", "0.000001", "100000000000000000000", "{}", "[]", "\"\"", "true"] {
        let form = ecma(text.as_bytes(), NumberPolicy::Refuse).unwrap();
        assert!(matches!(form, Cow::Borrowed(_)), "{text}");
    }
    let text = r#"{"0":1,"4294967294":2,"4294967295":3,"01":4,"-1":5,"b":{"a":[null,false]}}"#;
    assert!(matches!(ecma(text.as_bytes(), NumberPolicy::Refuse), Ok(Cow::Borrowed(_))));
}

#[test]
fn jcs_sorts_by_utf16_code_units() {
    let (ecma, jcs) =
        both(r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"ö":7}"#);
    assert!(ecma.starts_with(r#"{"1":4,"€":1"#), "{ecma}");
    // RFC 8785 §3.2.3
    assert_eq!(jcs, "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}");
    assert_eq!(both(r#"{"9":1,"10":2,"":3}"#).1, r#"{"":3,"10":2,"9":1}"#);
}

#[test]
fn objects_of_many_members_are_arranged_too() {
    let members = |values: &mut dyn Iterator<Item = usize>| {
        values.map(|i| format!("\"k{i:04}\":{i}")).collect::<Vec<_>>().join(",")
    };
    let ascending = members(&mut (0..2_000));
    let descending = members(&mut (0..2_000).rev());
    let (ecma, jcs) = both(&format!("{{{descending},\"k1999\":0}}"));
    assert_eq!(ecma, format!("{{{}}}", descending.replacen(":1999", ":0", 1)));
    assert_eq!(jcs, format!("{{{}}}", ascending.replacen(":1999", ":0", 1)));
}

#[test]
fn inexact_integers_follow_the_policy() {
    let text = br#"{"a":[1,{"b/c":-12345678901234567890}]}"#;
    let form =
        |numbers| ecma(text, numbers).map(|form| String::from_utf8_lossy(&form).into_owned());
    assert_eq!(
        form(NumberPolicy::Refuse).unwrap_err(),
        FormError { pointer: "/a/1/b~1c".into(), kind: FormErrorKind::InexactInteger }
    );
    assert_eq!(
        form(NumberPolicy::Stringify).unwrap(),
        r#"{"a":[1,{"b/c":"-12345678901234567890"}]}"#
    );
    assert_eq!(form(NumberPolicy::Round).unwrap(), r#"{"a":[1,{"b/c":-12345678901234567000}]}"#);
}

#[test]
fn unfit_input_is_refused_with_its_place() {
    assert_eq!(refusal(r#"{"a":1e400}"#), ("/a".into(), FormErrorKind::NumberOverflow));
    assert_eq!(refusal("[1, 2]"), ("/1".into(), FormErrorKind::NotMinified));
    for text in [
        "", "{", "[", "[1", "{\"a\"", "{\"a\":", "\"", "\"\\", "-", "[1,]", "{,}", "1 ", "tru",
        "1-1", "nan",
    ] {
        assert_eq!(refusal(text).1, FormErrorKind::NotMinified, "{text}");
    }
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    check(&nested(64), &nested(64));
    // the envelope adds one level to the deepest data
    assert!(ecma(nested(65).as_bytes(), NumberPolicy::Refuse).is_ok());
    let (pointer, kind) = refusal(&nested(100_000));
    assert_eq!((pointer.len(), kind), (130, FormErrorKind::TooDeep));
}
