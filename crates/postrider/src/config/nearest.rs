//! The known name that a mistyped one probably means.

/// The nearest of `known`, if any is near enough to be meant.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // 0.75 offers `retention_days` for `retention` and `allow_networks` its danger name, and
    // nothing for words that have no more than letters in common
    const LIKE_ENOUGH: f64 = 0.75;
    known
        .into_iter()
        .map(|name| (likeness(given, name), name))
        .filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// From 0 to 1. A name that contains all of the other is meant more often than its length says.
fn likeness(given: &str, name: &str) -> f64 {
    if given.len() >= 4 && (name.contains(given) || given.contains(name)) {
        return 0.95;
    }
    strsim::jaro_winkler(given, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_none() {
        let known = ["listen", "danger_allow_networks", "allow_http", "retention_days"];
        for (given, expected) in [
            ("lisen", Some("listen")),
            ("allow_networks", Some("danger_allow_networks")),
            ("alow_http", Some("allow_http")),
            ("retention", Some("retention_days")),
            ("xyzzy", None),
        ] {
            assert_eq!(nearest(given, known), expected, "{given}");
        }
    }
}
