//! Cursors of lists.

use postrider::http::cursor::List;
use postrider_core::id::{EventKey, Key, TenantKey};

/// A cursor that is read is one that its list wrote, and no other list reads it.
pub fn cursor(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let list = |tenant, filter: &[&str]| List::new(TenantKey::from_raw(tenant), "events", filter);
    let own = list(1, &["a"]);
    let others = [list(2, &["a"]), list(1, &[]), list(1, &["a", ""])];
    if let Ok(key) = own.position::<EventKey>(&text) {
        assert_eq!(own.cursor(key), text);
        assert!(own.delivery_position(&text).is_err());
        assert!(others.iter().all(|other| other.position::<EventKey>(&text).is_err()));
    }
    if let Ok(key) = own.delivery_position(&text) {
        assert_eq!(own.delivery_cursor(key), text);
        assert!(own.position::<EventKey>(&text).is_err());
        assert!(others.iter().all(|other| other.delivery_position(&text).is_err()));
    }
    // the same bytes as what stands in a list's filter
    let filtered = list(1, &[&text]);
    let key = EventKey::from_raw(77);
    assert_eq!(filtered.position::<EventKey>(&filtered.cursor(key)).ok(), Some(key));
}
