//! In which coding a client takes an answer.

use http::{HeaderMap, header};

/// RFC 9110 §12.5.3, as far as it is about gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let given = headers.get_all(header::ACCEPT_ENCODING).iter();
    let texts = given.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let is_refused = weight.trim().strip_prefix("q=").is_some_and(|q| {
            let weight: Result<f32, _> = q.trim().parse();
            weight.is_ok_and(|weight| weight <= 0.0)
        });
        coding.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn gzip_is_sent_to_those_who_ask_for_it() {
        let check = |value: &'static str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&headers), expected, "{value}");
        };
        check("gzip, deflate, br, zstd", true);
        check("br, GZIP;q=0.5", true);
        check("gzip;q=0", false);
        check("gzip;q=0.000", false);
        check("br", false);
        check("identity", false);
        check("", false);
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
