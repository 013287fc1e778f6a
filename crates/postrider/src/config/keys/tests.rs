use std::collections::BTreeMap;
use std::fs::Permissions;

use super::*;
use crate::config::Sources;

fn config(dir: &Path, dev: &str) -> Config {
    let data_dir = dir.to_str().unwrap().to_owned();
    let flags = BTreeMap::from([("data_dir", data_dir), ("dev", dev.to_owned())]);
    Config::from_sources(&Sources::read(flags, []).unwrap()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_first_start_makes_private_keys_and_later_ones_keep_them() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("data/dir");
    let first = Keys::settle(&config(&dir, "true")).unwrap();
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join(SEALING_KEY_FILE)), 0o600);
    assert_eq!(mode(&dir.join(ADMIN_KEY_FILE)), 0o600);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "nothing unfinished is left");

    let admin = first.admin.unwrap();
    assert!(admin.expose().starts_with("prk_") && admin.expose().len() == 48);
    let second = Keys::settle(&config(&dir, "true")).unwrap();
    assert!(second.sealing == first.sealing && second.admin == Some(admin));
}

#[test]
fn outside_dev_no_admin_key_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::settle(&config(dir.path(), "false")).unwrap();
    assert_eq!(keys.admin, None);
    assert!(!dir.path().join(ADMIN_KEY_FILE).exists());
}

#[test]
fn a_given_admin_key_is_what_dev_keeps_for_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    Keys::settle(&config(dir.path(), "true")).unwrap();
    let given = AdminKey::parse("given-given-given-given-").unwrap();
    let config = Config { admin_key: Some(given), ..config(dir.path(), "true") };
    Keys::settle(&config).unwrap();
    let kept = read_private(&dir.path().join(ADMIN_KEY_FILE)).unwrap().unwrap();
    assert_eq!(kept.trim(), "given-given-given-given-");
}

#[test]
fn wider_permissions_are_refused_with_the_mend() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "false");
    Keys::settle(&config).unwrap();
    set_mode(&dir.path().join(SEALING_KEY_FILE), 0o640);
    let text = Keys::settle(&config).unwrap_err().to_string();
    assert!(text.contains("sealing-key is open to other users (mode 640)"), "{text}");
    assert!(text.contains("chmod 600"), "{text}");

    set_mode(&dir.path().join(SEALING_KEY_FILE), 0o600);
    set_mode(dir.path(), 0o777);
    let text = Keys::settle(&config).unwrap_err().to_string();
    assert!(text.starts_with("data_dir: ") && text.ends_with("chmod go-w it"), "{text}");
}

#[test]
fn a_lost_sealing_key_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("postrider.db"), "x").unwrap();
    let text = Keys::settle(&config(dir.path(), "false")).unwrap_err().to_string();
    assert!(text.contains("holds data but no sealing key"), "{text}");
    assert!(!dir.path().join(SEALING_KEY_FILE).exists());
}

#[test]
fn a_damaged_key_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    replace_private(&dir.path().join(SEALING_KEY_FILE), "not a key").unwrap();
    let text = Keys::settle(&config(dir.path(), "false")).unwrap_err().to_string();
    assert!(text.contains("does not hold Base64 of 32 bytes; restore it"), "{text}");
}

#[test]
fn a_private_file_is_made_once_and_replaced_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    private_file::create_private(&path, "one").unwrap();
    private_file::create_private(&path, "two").unwrap();
    assert_eq!(read_private(&path).unwrap().unwrap().trim(), "one");
    replace_private(&path, "three").unwrap();
    assert_eq!(read_private(&path).unwrap().unwrap().trim(), "three");
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn keys_never_show_themselves() {
    let admin = AdminKey::generate().unwrap();
    let sealing = SealingKey::generate().unwrap();
    assert_eq!(format!("{admin:?} {sealing:?}"), "AdminKey(redacted) SealingKey(redacted)");
    assert!(SealingKey::parse(&sealing.text()) == Some(sealing));
}
