//! A record as redis has it: `count, last access, made, bytes` of 8 bytes each and the checksum of 4, the highest byte
//! first, then extension, version, description and source with a NUL between them. `lua/records.lua` reads the same.

use super::super::{Gone, Id, IndexError, Record};

const HEAD_BYTES: usize = 36;

/// Lua counts in 64-bit floats, which are exact up to here; nothing counted comes near.
pub(super) const MAX: u64 = 1 << 53;

pub(super) fn pack(record: &Record) -> Vec<u8> {
    let mut packed = Vec::with_capacity(HEAD_BYTES + record.source.len() + record.description.len() + 64);
    let times = [record.last_access_us, record.made_us].map(unsigned);
    for number in [record.count, times[0], times[1], record.bytes] {
        packed.extend(number.min(MAX).to_be_bytes());
    }
    packed.extend(record.checksum.to_be_bytes());
    packed.extend(
        [&record.extension, &record.version, &record.description, &record.source]
            .map(String::as_str)
            .join("\0")
            .bytes(),
    );
    packed
}

pub(super) fn unpack(id: Id, packed: &[u8]) -> Result<Record, IndexError> {
    parse(id, packed).ok_or_else(|| unexpected("a record"))
}

fn parse(id: Id, packed: &[u8]) -> Option<Record> {
    let (numbers, rest) = packed.split_first_chunk::<32>()?;
    let (checksum, texts) = rest.split_first_chunk::<4>()?;
    let (numbers, _) = numbers.as_chunks::<8>();
    let number = |index: usize| u64::from_be_bytes(numbers[index]);
    let mut texts = str::from_utf8(texts).ok()?.splitn(4, '\0').map(str::to_owned);
    Some(Record {
        id,
        extension: texts.next()?,
        version: texts.next()?,
        description: texts.next()?,
        source: texts.next()?,
        bytes: number(3),
        checksum: u32::from_be_bytes(*checksum),
        made_us: i64::try_from(number(2)).ok()?,
        last_access_us: i64::try_from(number(1)).ok()?,
        count: number(0),
    })
}

/// Redis has something else than what was put there.
pub(super) fn unexpected(what: &str) -> IndexError {
    IndexError::Redis { message: format!("{what} is not what pixlserv has put there") }
}

/// Names and files as the scripts give them.
pub(super) fn gone(reply: Vec<(Vec<u8>, String, u64)>) -> Result<Vec<Gone>, IndexError> {
    let gone = |(id, extension, bytes): (Vec<u8>, String, u64)| Ok(Gone { id: id_of(&id)?, extension, bytes });
    reply.into_iter().map(gone).collect()
}

pub(super) fn id_of(bytes: &[u8]) -> Result<Id, IndexError> {
    bytes.try_into().map_err(|_| unexpected("the name of an answer"))
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
