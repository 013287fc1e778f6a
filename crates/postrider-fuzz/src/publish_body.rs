//! The body of `POST /v1/events`.

use std::sync::LazyLock;

use postrider::api::publish;
use postrider::engine::NewEvent;
use postrider::filter::{Filter, Subject};
use postrider::http::fields::items;
use postrider::http::json::JsonText;
use postrider_core::matching::Verdict;
use postrider_signature::{BodyForm, NumberPolicy, canonical, envelope, json, timestamp};

use crate::NOW_MS;

/// What filters look at, in bytes of data.
const FILTERED_BYTES_MAX: usize = 256 << 10;

static EVERYTHING: LazyLock<Filter> =
    LazyLock::new(|| Filter::compile("true").expect("a filter that has no names"));

/// What is accepted can be written in every form, read again, and shown to filters.
pub fn publish_body(bytes: &[u8]) {
    let Ok(text) = JsonText::parse(bytes) else { return };
    let text = text.as_str();
    assert!(text.len() <= bytes.len(), "checking a text never lengthens it");
    let again = JsonText::parse(text.as_bytes()).expect("a checked text passes its check");
    assert_eq!(again.as_str(), text);
    match items(text) {
        Some(batch) => batch.iter().for_each(|item| event(item.get())),
        None => event(text),
    }
}

fn event(text: &str) {
    let Ok(new) = publish::read(text, None) else { return };
    assert!(!new.event_type.is_reserved());
    assert_eq!(json::minify(&new.data).as_ref(), Ok(&new.data), "data is a document of its own");
    if let Some(ms) = new.occurred_at {
        assert_eq!(timestamp::parse(&timestamp::format_ms(ms)), Ok(ms));
    }
    bodies(&new);
    if new.data.len() <= FILTERED_BYTES_MAX {
        let at_ms = new.occurred_at.unwrap_or(NOW_MS);
        let verdict = Subject::new(&new.event_type, at_ms, &new.data).verdict(&EVERYTHING);
        assert_eq!(verdict, Verdict::Yes);
    }
}

fn bodies(new: &NewEvent) {
    let body = |form| {
        let at_ms = new.occurred_at.unwrap_or(NOW_MS);
        envelope("evt_1", new.event_type.as_str(), at_ms, &new.data, form, NumberPolicy::Round)
            .expect("rounding leaves nothing to refuse")
    };
    let verbatim = body(BodyForm::Verbatim);
    assert_eq!(json::minify_within(&verbatim, 1).as_ref(), Ok(&verbatim));
    let ecma = body(BodyForm::Ecma);
    let again = canonical::ecma(&ecma, NumberPolicy::Round).expect("our own body");
    assert_eq!(&*again, &ecma[..]);
    let jcs = body(BodyForm::Jcs);
    let sorted = canonical::jcs(&verbatim, NumberPolicy::Round).expect("our own body");
    assert_eq!(&*sorted, &jcs[..], "sorting the whole is sorting the parts");
}
