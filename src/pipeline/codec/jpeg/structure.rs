//! The marker segments of a JPEG file (ITU-T T.81 Annex B), read strictly and without decoding.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::huffman::Table;
use super::{DecodeError, checked_size};
use crate::raster::Size;

/// Natural position of the coefficients in zigzag order (T.81 Figure A.6).
pub(super) const NATURAL: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DHT: u8 = 0xC4;
const DQT: u8 = 0xDB;
const DRI: u8 = 0xDD;
const DNL: u8 = 0xDC;
const APP1: u8 = 0xE1;
const APP2: u8 = 0xE2;
const APP14: u8 = 0xEE;

/// How coefficients are spread over scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// SOF0 and SOF1: every block is complete in one scan.
    Sequential,
    /// SOF2: blocks are refined scan by scan.
    Progressive,
}

/// A component of the frame header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors, 1 to 4.
    pub(super) horizontal: u8,
    pub(super) vertical: u8,
    /// Slot of the quantisation table.
    pub(super) quantisation: u8,
}

/// The frame header.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) process: Process,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) components: Vec<Component>,
}

impl Frame {
    pub(super) fn size(&self) -> Size {
        Size::new(u32::from(self.width), u32::from(self.height))
    }

    /// The largest sampling factors of the components: a row of MCUs is 8 times as many pixels high and wide.
    pub(super) fn largest_factors(&self) -> (u32, u32) {
        let largest = |factor: fn(&Component) -> u8| u32::from(self.components.iter().map(factor).max().unwrap_or(1));
        (largest(|component| component.horizontal), largest(|component| component.vertical))
    }

    /// Samples of all components at full size: the bytes of the decoded picture.
    pub(super) fn samples(&self) -> u64 {
        self.size().pixels() * self.components.len() as u64
    }

    /// MCUs per row and column of a scan of several components.
    pub(super) fn mcus(&self) -> (u32, u32) {
        let (h_max, v_max) = self.largest_factors();
        (u32::from(self.width).div_ceil(8 * h_max), u32::from(self.height).div_ceil(8 * v_max))
    }

    /// Blocks per row and column that the picture needs of a component.
    pub(super) fn blocks(&self, component: &Component) -> (u32, u32) {
        let (h_max, v_max) = self.largest_factors();
        let blocks = |side: u16, factor: u8, max: u32| (u32::from(side) * u32::from(factor)).div_ceil(max).div_ceil(8);
        (blocks(self.width, component.horizontal, h_max), blocks(self.height, component.vertical, v_max))
    }
}

/// A component of a scan header and the tables that were defined when the scan began.
#[derive(Clone, Debug)]
pub(super) struct ScanComponent {
    /// Position in the frame.
    pub(super) index: usize,
    dc_table: Option<Rc<Table>>,
    ac_table: Option<Rc<Table>>,
}

impl ScanComponent {
    /// # Errors
    /// If the table is not defined.
    pub(super) fn dc_table(&self) -> Result<&Rc<Table>, DecodeError> {
        self.dc_table.as_ref().ok_or_else(Self::undefined)
    }

    /// # Errors
    /// If the table is not defined.
    pub(super) fn ac_table(&self) -> Result<&Rc<Table>, DecodeError> {
        self.ac_table.as_ref().ok_or_else(Self::undefined)
    }

    fn undefined() -> DecodeError {
        DecodeError::damaged("a scan uses a Huffman table that is not defined")
    }
}

/// A scan: its header, and all bytes behind it up to the end of the file.
#[derive(Clone, Debug)]
pub(super) struct Scan<'a> {
    pub(super) components: Vec<ScanComponent>,
    /// First and last coefficient in zigzag order.
    pub(super) spectral: (u8, u8),
    /// Bit position of the previous and of this scan of the same coefficients.
    pub(super) approximation: (u8, u8),
    /// MCUs between restart markers; 0 for none.
    pub(super) restart_interval: u16,
    pub(super) data: &'a [u8],
}

impl Scan<'_> {
    /// MCUs per row and column: of single blocks where the scan has one component.
    pub(super) fn mcus(&self, frame: &Frame) -> (u32, u32) {
        match &self.components[..] {
            [component] => frame.blocks(&frame.components[component.index]),
            _ => frame.mcus(),
        }
    }
}

/// What stands before the first scan.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    pub(super) frame: Option<Frame>,
    /// The TIFF structure of the first EXIF segment.
    pub(super) exif: Option<&'a [u8]>,
}

/// A whole file.
#[derive(Debug)]
pub(super) struct Structure<'a> {
    pub(super) frame: Frame,
    pub(super) scans: Vec<Scan<'a>>,
    /// Whether the file ends with an end marker.
    pub(super) has_end: bool,
    /// Adobe's colour transform: 0 none, 1 YCbCr, 2 YCCK.
    pub(super) adobe_transform: Option<u8>,
    profile_parts: BTreeMap<u8, (u8, &'a [u8])>,
    /// Tables as they were last defined, in zigzag order.
    quantisation: [Option<[u16; 64]>; 4],
}

impl Structure<'_> {
    /// The table of a component; `None` if there is none.
    pub(super) fn quantisation(&self, component: &Component) -> Option<[u16; 64]> {
        self.quantisation.get(usize::from(component.quantisation)).copied().flatten()
    }

    /// The ICC profile, if all its parts are there.
    pub(super) fn profile(&self) -> Option<Vec<u8>> {
        let count = self.profile_parts.first_key_value()?.1.0;
        let is_whole = usize::from(count) == self.profile_parts.len()
            && self
                .profile_parts
                .iter()
                .zip(1u16..)
                .all(|((&number, &(of, _)), expected)| u16::from(number) == expected && of == count);
        is_whole.then(|| self.profile_parts.values().flat_map(|(_, bytes)| *bytes).copied().collect())
    }
}

/// Reads up to the first scan.
pub(super) fn read_head(source: &[u8]) -> Result<Head<'_>, DecodeError> {
    let mut reader = Reader::new(source);
    while let Some(segment) = reader.next_segment()? {
        if segment.marker == SOS {
            break;
        }
        reader.take(&segment)?;
    }
    Ok(Head { frame: reader.frame, exif: reader.exif })
}

/// Reads a whole file.
pub(super) fn read(source: &[u8], max_scans: usize) -> Result<Structure<'_>, DecodeError> {
    let mut reader = Reader::new(source);
    let mut scans = Vec::new();
    let mut has_end = false;
    while let Some(segment) = reader.next_segment()? {
        match segment.marker {
            EOI => {
                has_end = true;
                break;
            }
            SOS if scans.len() == max_scans => {
                return Err(DecodeError::Damaged(format!("more than {max_scans} scans")));
            }
            SOS => scans.push(reader.scan(segment.body)?),
            _ => reader.take(&segment)?,
        }
    }
    let frame = reader.frame.ok_or_else(|| DecodeError::damaged("there is no frame header"))?;
    checked_size(u32::from(frame.width), u32::from(frame.height))?;
    if scans.is_empty() {
        return Err(DecodeError::damaged("there is no scan"));
    }
    let adobe_transform = reader.adobe_transform;
    let (profile_parts, quantisation) = (reader.profile_parts, reader.quantisation);
    Ok(Structure { frame, scans, has_end, adobe_transform, profile_parts, quantisation })
}

struct Segment<'a> {
    marker: u8,
    body: &'a [u8],
}

/// Walks from marker to marker and remembers what they define.
struct Reader<'a> {
    rest: &'a [u8],
    frame: Option<Frame>,
    exif: Option<&'a [u8]>,
    adobe_transform: Option<u8>,
    profile_parts: BTreeMap<u8, (u8, &'a [u8])>,
    quantisation: [Option<[u16; 64]>; 4],
    dc_tables: [Option<Rc<Table>>; 4],
    ac_tables: [Option<Rc<Table>>; 4],
    restart_interval: u16,
}

impl<'a> Reader<'a> {
    fn new(source: &'a [u8]) -> Self {
        Self {
            rest: source,
            frame: None,
            exif: None,
            adobe_transform: None,
            profile_parts: BTreeMap::new(),
            quantisation: [None; 4],
            dc_tables: [const { None }; 4],
            ac_tables: [const { None }; 4],
            restart_interval: 0,
        }
    }

    /// The next marker that is not part of entropy-coded data; `None` at the end of the file.
    fn next_segment(&mut self) -> Result<Option<Segment<'a>>, DecodeError> {
        loop {
            let Some(position) = memchr::memchr(0xFF, self.rest) else { return Ok(None) };
            self.rest = &self.rest[position..];
            // Any number of fill bytes may stand before a marker.
            let Some(fill) = self.rest.iter().position(|&byte| byte != 0xFF) else { return Ok(None) };
            let marker = self.rest[fill];
            self.rest = &self.rest[fill + 1..];
            match marker {
                // A stuffed zero, TEM, restart markers and a start marker have no length.
                0x00 | 0x01 | 0xD0..=0xD7 | SOI => {}
                EOI => return Ok(Some(Segment { marker, body: &[] })),
                _ => {
                    let cut = || DecodeError::damaged("a segment is cut off");
                    let length = self.rest.first_chunk().map(|&bytes| u16::from_be_bytes(bytes)).ok_or_else(cut)?;
                    let body = self.rest.get(2..usize::from(length)).ok_or_else(cut)?;
                    self.rest = &self.rest[usize::from(length)..];
                    return Ok(Some(Segment { marker, body }));
                }
            }
        }
    }

    fn take(&mut self, segment: &Segment<'a>) -> Result<(), DecodeError> {
        let body = segment.body;
        match segment.marker {
            0xC0..=0xC2 => self.frame(segment.marker, body)?,
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let kind = if segment.marker > 0xC8 { "arithmetic coding" } else { "lossless or hierarchical coding" };
                return Err(DecodeError::Unsupported(format!("JPEG with {kind}")));
            }
            DHT => self.huffman_tables(body)?,
            DQT => self.quantisation_tables(body)?,
            DNL => return Err(DecodeError::Unsupported("JPEG with its height behind the first scan".to_owned())),
            DRI => {
                let interval = body.first_chunk().ok_or_else(|| DecodeError::damaged("short restart interval"))?;
                self.restart_interval = u16::from_be_bytes(*interval);
            }
            APP1 if self.exif.is_none() => self.exif = body.strip_prefix(b"Exif\0\0"),
            APP2 => {
                if let Some([number, count, part @ ..]) = body.strip_prefix(b"ICC_PROFILE\0") {
                    self.profile_parts.entry(*number).or_insert((*count, part));
                }
            }
            APP14 => {
                if let Some(adobe) = body.strip_prefix(b"Adobe") {
                    self.adobe_transform = adobe.get(6).copied().or(self.adobe_transform);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn frame(&mut self, marker: u8, body: &[u8]) -> Result<(), DecodeError> {
        if self.frame.is_some() {
            return Err(DecodeError::damaged("there are two frame headers"));
        }
        let [precision, h1, h0, w1, w0, count, list @ ..] = body else {
            return Err(DecodeError::damaged("short frame header"));
        };
        if *precision != 8 {
            return Err(DecodeError::Unsupported(format!("JPEG of {precision} bits")));
        }
        let (list, rest) = list.as_chunks::<3>();
        if list.len() != usize::from(*count) || !rest.is_empty() || !(1..=4).contains(count) {
            return Err(DecodeError::damaged("the frame header does not list its components"));
        }
        let mut components = Vec::new();
        for &[id, sampling, quantisation] in list {
            let component = Component { id, horizontal: sampling >> 4, vertical: sampling & 15, quantisation };
            let is_legal = (1..=4).contains(&component.horizontal) && (1..=4).contains(&component.vertical);
            if !is_legal || components.iter().any(|other: &Component| other.id == id) {
                return Err(DecodeError::damaged("impossible components in the frame header"));
            }
            components.push(component);
        }
        self.frame = Some(Frame {
            process: if marker == 0xC2 { Process::Progressive } else { Process::Sequential },
            width: u16::from_be_bytes([*w1, *w0]),
            height: u16::from_be_bytes([*h1, *h0]),
            components,
        });
        Ok(())
    }

    fn quantisation_tables(&mut self, mut body: &[u8]) -> Result<(), DecodeError> {
        while let Some((&precision_and_slot, rest)) = body.split_first() {
            let (is_wide, slot) = (precision_and_slot >> 4 != 0, usize::from(precision_and_slot & 15));
            let length = if is_wide { 128 } else { 64 };
            let (values, rest) =
                rest.split_at_checked(length).ok_or_else(|| DecodeError::damaged("short quantisation table"))?;
            let table = std::array::from_fn(|index| {
                if is_wide {
                    u16::from_be_bytes([values[2 * index], values[2 * index + 1]])
                } else {
                    u16::from(values[index])
                }
            });
            *self
                .quantisation
                .get_mut(slot)
                .ok_or_else(|| DecodeError::damaged("a quantisation table for no slot"))? = Some(table);
            body = rest;
        }
        Ok(())
    }

    fn huffman_tables(&mut self, mut body: &[u8]) -> Result<(), DecodeError> {
        while let Some((&class_and_slot, rest)) = body.split_first() {
            let (class, slot) = (class_and_slot >> 4, usize::from(class_and_slot & 15));
            let (counts, rest) = rest.split_first_chunk().ok_or_else(|| DecodeError::damaged("short Huffman table"))?;
            let n_values = counts.iter().map(|&count| usize::from(count)).sum();
            let values = rest.get(..n_values).ok_or_else(|| DecodeError::damaged("short Huffman table"))?;
            if class > 1 || slot > 3 {
                return Err(DecodeError::damaged("a Huffman table for no slot"));
            }
            let table = Rc::new(Table::new(counts, values)?);
            if class == 0 {
                self.dc_tables[slot] = Some(table)
            } else {
                self.ac_tables[slot] = Some(table)
            }
            body = &rest[n_values..];
        }
        Ok(())
    }

    fn scan(&self, body: &[u8]) -> Result<Scan<'a>, DecodeError> {
        let wrong = || DecodeError::damaged("impossible scan header");
        let frame = self.frame.as_ref().ok_or_else(|| DecodeError::damaged("a scan before the frame header"))?;
        let (&count, rest) = body.split_first().ok_or_else(wrong)?;
        let list = rest.get(..usize::from(count) * 2).ok_or_else(wrong)?;
        let [first, last, approximation] = rest[list.len()..] else { return Err(wrong()) };
        let mut components = Vec::new();
        for &[id, tables] in list.as_chunks::<2>().0 {
            let index = frame.components.iter().position(|component| component.id == id).ok_or_else(wrong)?;
            let (dc, ac) = (usize::from(tables >> 4), usize::from(tables & 15));
            if dc > 3 || ac > 3 || components.iter().any(|other: &ScanComponent| other.index == index) {
                return Err(wrong());
            }
            components.push(ScanComponent {
                index,
                dc_table: self.dc_tables[dc].clone(),
                ac_table: self.ac_tables[ac].clone(),
            });
        }
        if components.is_empty() || components.len() > 4 {
            return Err(wrong());
        }
        Ok(Scan {
            components,
            spectral: (first, last),
            approximation: (approximation >> 4, approximation & 15),
            restart_interval: self.restart_interval,
            data: self.rest,
        })
    }
}
