//! Entries of catalogues as bytes. Tenant, name and version are columns of their own and not
//! repeated here.

use postrider_core::catalogue::{CatalogueEntry, Validation};
use postrider_core::event_type::EventType;
use postrider_core::id::TenantKey;

use super::event::{read_numbers, write_numbers};
use super::wire::{Decoded, Reader, Undecodable, Writer};

const VERSION: u8 = 1;

pub(crate) fn encode_entry(entry: &CatalogueEntry, into: &mut Vec<u8>) {
    into.push(VERSION);
    let mut writer = Writer(into);
    writer.option(entry.description.as_deref(), Writer::str);
    writer.option(entry.schema.as_deref(), Writer::str);
    writer.option(entry.example.as_deref(), Writer::str);
    writer.byte(match entry.validation {
        Validation::Off => 0,
        Validation::Warn => 1,
        Validation::Reject => 2,
    });
    write_numbers(&mut writer, entry.large_integers);
    writer.option(entry.archived_at, Writer::int);
    writer.int(entry.created_at);
    writer.int(entry.updated_at);
}

pub(crate) fn decode_entry(
    tenant: TenantKey,
    name: EventType,
    version: u64,
    bytes: &[u8],
) -> Decoded<CatalogueEntry> {
    let mut reader = Reader::versioned(bytes, VERSION)?;
    let text = |reader: &mut Reader<'_>| reader.option(|reader| reader.str().map(str::to_owned));
    let entry = CatalogueEntry {
        tenant,
        name,
        version,
        description: text(&mut reader)?,
        schema: text(&mut reader)?,
        example: text(&mut reader)?,
        validation: match reader.byte()? {
            0 => Validation::Off,
            1 => Validation::Warn,
            2 => Validation::Reject,
            _ => return Err(Undecodable("an unknown kind of validation")),
        },
        large_integers: read_numbers(&mut reader)?,
        archived_at: reader.option(Reader::int)?,
        created_at: reader.int()?,
        updated_at: reader.int()?,
    };
    reader.end()?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::id::Key;
    use postrider_signature::NumberPolicy;

    #[test]
    fn entries_survive() {
        for (text, validation, large_integers, archived_at) in [
            (None, Validation::Off, NumberPolicy::Refuse, None),
            (Some("{\"type\":\"object\"}"), Validation::Warn, NumberPolicy::Stringify, Some(5)),
            (Some("é"), Validation::Reject, NumberPolicy::Round, Some(-1)),
        ] {
            let text = text.map(str::to_owned);
            let entry = CatalogueEntry {
                tenant: TenantKey::from_raw(1),
                name: "a.b".parse().unwrap(),
                version: 7,
                description: text.clone(),
                schema: text.clone(),
                example: text,
                validation,
                large_integers,
                archived_at,
                created_at: 2,
                updated_at: 3,
            };
            let mut bytes = Vec::new();
            encode_entry(&entry, &mut bytes);
            let read = decode_entry(entry.tenant, entry.name.clone(), 7, &bytes);
            assert_eq!(read, Ok(entry));
        }
    }
}
