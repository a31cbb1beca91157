//! `multipart/form-data` (RFC 7578) that comes in pieces. multer reads it, as a future that is polled by hand whenever
//! a piece has come: no runtime, and no thread that waits.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use multer::Multipart;

/// RFC 2046 §5.1.1.
const MAX_BOUNDARY_BYTES: usize = 70;
/// Bytes that may come without an end of a part's headers, or of what stands before the first part.
const MAX_HEADER_BYTES: usize = 128 * 1024;
/// Parts of one form.
const MAX_PARTS: usize = 16;
/// Bytes of a field that is a text.
const MAX_TEXT_BYTES: usize = 1024;

/// Why a form is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FormError<E> {
    /// The header does not say where parts begin.
    #[error("the body must be multipart/form-data with a boundary of 1 to {MAX_BOUNDARY_BYTES} characters")]
    Boundary,
    /// The body is no such form.
    #[error("malformed form: {0}")]
    Malformed(String),
    /// Something that may be given once.
    #[error("two {0} fields")]
    Twice(&'static str),
    /// A text that is none of ours.
    #[error("the field {0} is too long, allowed: {MAX_TEXT_BYTES} bytes")]
    TextTooLong(&'static str),
    /// More than any form needs.
    #[error("too many fields, allowed: {MAX_PARTS}")]
    TooManyParts,
    /// More than any part needs.
    #[error("the headers of a field are too long, allowed: {MAX_HEADER_BYTES} bytes")]
    Headers,
    /// Who takes the file will not.
    #[error(transparent)]
    File(E),
}

/// What takes the file of a form.
pub(super) trait FileSink: Send {
    /// Why it takes no more.
    type Error: Send;

    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// The fields that are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldNames {
    pub(super) file: &'static str,
    pub(super) texts: &'static [&'static str],
}

/// A form that was read.
pub(super) struct Form<S> {
    pub(super) sink: S,
    pub(super) has_file: bool,
    /// In the order of [`FieldNames::texts`].
    pub(super) texts: Vec<Option<String>>,
}

/// A form that is being read.
pub(super) struct FormReader<S: FileSink> {
    feed: Arc<Feed>,
    /// `None` once it has ended.
    reading: Option<Pin<Box<Reading<S>>>>,
    /// What stood before the end of the body.
    form: Option<Form<S>>,
}

type Reading<S> = dyn Future<Output = Result<Form<S>, FormError<<S as FileSink>::Error>>> + Send;

/// Pieces on their way to the future.
#[derive(Default)]
struct Feed {
    state: Mutex<Pieces>,
    /// Bytes that came since something was found in them.
    n_idle: AtomicUsize,
}

#[derive(Default)]
struct Pieces {
    pieces: VecDeque<Bytes>,
    has_ended: bool,
}

impl<S: FileSink + 'static> FormReader<S> {
    /// Begins to read a form of this media type; `sink` takes its file.
    pub(super) fn new(media_type: &str, names: FieldNames, sink: S) -> Result<Self, FormError<S::Error>> {
        let boundary = multer::parse_boundary(media_type).map_err(|_| FormError::Boundary)?;
        if !(1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()) {
            return Err(FormError::Boundary);
        }
        let feed = Arc::new(Feed::default());
        let multipart = Multipart::new(pieces(Arc::clone(&feed)), boundary);
        let reading = Box::pin(read(multipart, names, sink, Arc::clone(&feed)));
        Ok(Self { feed, reading: Some(reading), form: None })
    }

    /// Takes the next piece of the body.
    pub(super) fn take(&mut self, piece: Vec<u8>) -> Result<(), FormError<S::Error>> {
        // What follows the last boundary means nothing.
        if self.reading.is_none() {
            return Ok(());
        }
        let n_idle = self.feed.n_idle.fetch_add(piece.len(), Ordering::Relaxed) + piece.len();
        self.feed.lock().pieces.push_back(piece.into());
        self.poll()?;
        let is_idle = self.feed.n_idle.load(Ordering::Relaxed) == n_idle;
        if is_idle && n_idle > MAX_HEADER_BYTES && self.reading.is_some() { Err(FormError::Headers) } else { Ok(()) }
    }

    /// The body has come to its end.
    pub(super) fn end(mut self) -> Result<Form<S>, FormError<S::Error>> {
        self.feed.lock().has_ended = true;
        self.poll()?;
        self.form.ok_or_else(|| FormError::Malformed("it has no end".to_owned()))
    }

    /// Goes as far as what has come allows.
    fn poll(&mut self) -> Result<(), FormError<S::Error>> {
        let Some(reading) = &mut self.reading else {
            return Ok(());
        };
        // Nobody has to be woken: it is polled when there is something new.
        match reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Ok(()),
            Poll::Ready(result) => {
                self.reading = None;
                self.form = Some(result?);
                Ok(())
            }
        }
    }
}

impl Feed {
    /// No change of it can stop half-way.
    fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_progress(&self) {
        self.n_idle.store(0, Ordering::Relaxed);
    }
}

fn pieces(feed: Arc<Feed>) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::poll_fn(move |_| {
        let mut state = feed.lock();
        match (state.pieces.pop_front(), state.has_ended) {
            (Some(piece), _) => Poll::Ready(Some(Ok(piece))),
            (None, true) => Poll::Ready(None),
            (None, false) => Poll::Pending,
        }
    })
}

async fn read<S: FileSink>(
    mut multipart: Multipart<'static>,
    names: FieldNames,
    mut sink: S,
    feed: Arc<Feed>,
) -> Result<Form<S>, FormError<S::Error>> {
    let mut texts = vec![None; names.texts.len()];
    let (mut has_file, mut n_parts) = (false, 0);
    while let Some(mut field) = multipart.next_field().await.map_err(malformed)? {
        feed.note_progress();
        n_parts += 1;
        if n_parts > MAX_PARTS {
            return Err(FormError::TooManyParts);
        }
        let name = field.name().unwrap_or_default();
        if name == names.file {
            if has_file {
                return Err(FormError::Twice(names.file));
            }
            has_file = true;
            while let Some(chunk) = field.chunk().await.map_err(malformed)? {
                feed.note_progress();
                sink.write(&chunk).map_err(FormError::File)?;
            }
        } else if let Some(index) = names.texts.iter().position(|text| *text == name) {
            let text = read_text(field, names.texts[index], &feed).await?;
            if texts[index].replace(text).is_some() {
                return Err(FormError::Twice(names.texts[index]));
            }
        } else {
            // Read over here, so that it counts as progress.
            while field.chunk().await.map_err(malformed)?.is_some() {
                feed.note_progress();
            }
        }
    }
    Ok(Form { sink, has_file, texts })
}

async fn read_text<E>(
    mut field: multer::Field<'static>,
    name: &'static str,
    feed: &Feed,
) -> Result<String, FormError<E>> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        feed.note_progress();
        if text.len() + chunk.len() > MAX_TEXT_BYTES {
            return Err(FormError::TextTooLong(name));
        }
        text.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What multer says, in one line.
#[expect(clippy::needless_pass_by_value, reason = "taken by map_err")]
fn malformed<E>(error: multer::Error) -> FormError<E> {
    let text = error.to_string();
    FormError::Malformed(text.chars().filter(|c| !c.is_control()).take(200).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: FieldNames = FieldNames { file: "image", texts: &["timestamp", "signature"] };
    const KIND: &str = "multipart/form-data; boundary=b0";

    /// Takes up to 100,000 bytes.
    #[derive(Debug, Default)]
    struct Bytes100K(Vec<u8>);

    impl FileSink for Bytes100K {
        type Error = &'static str;

        fn write(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
            self.0.extend_from_slice(bytes);
            if self.0.len() > 100_000 { Err("too much") } else { Ok(()) }
        }
    }

    type Read = Result<(Option<Vec<u8>>, Vec<Option<String>>), String>;

    fn read(body: &[u8], n_bytes: usize) -> Read {
        let told = |error: FormError<&'static str>| match error {
            FormError::File(text) => text.to_owned(),
            FormError::Malformed(_) => "malformed".to_owned(),
            error => format!("{error:?}"),
        };
        let mut reader = FormReader::new(KIND, NAMES, Bytes100K::default()).map_err(told)?;
        for piece in body.chunks(n_bytes) {
            reader.take(piece.to_vec()).map_err(told)?;
        }
        let form = reader.end().map_err(told)?;
        Ok((form.has_file.then_some(form.sink.0), form.texts))
    }

    fn part(name: &str, content: &[u8]) -> Vec<u8> {
        let head = format!("--b0\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    }

    fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body: Vec<u8> = parts.iter().flat_map(|(name, content)| part(name, content)).collect();
        body.extend_from_slice(b"--b0--\r\n");
        body
    }

    #[track_caller]
    fn check(body: &[u8], expected: Read) {
        for n_bytes in [body.len().max(1), 64 * 1024, 7] {
            assert_eq!(
                read(body, n_bytes),
                expected,
                "in pieces of {n_bytes}: {:?}",
                body.escape_ascii().to_string().get(..200)
            );
        }
    }

    #[test]
    fn fields_come_in_any_order() {
        let image: Vec<u8> = (0..90_000_u32).map(|number| (number % 251) as u8).collect();
        let text = |text: &str| Some(text.to_owned());
        check(
            &form(&[("image", &image), ("signature", b"s"), ("other", b"x"), ("timestamp", b"1")]),
            Ok((Some(image.clone()), vec![text("1"), text("s")])),
        );
        check(&form(&[("timestamp", b"1"), ("image", b"\r\n--b\r\n--b1")]), {
            Ok((Some(b"\r\n--b\r\n--b1".to_vec()), vec![text("1"), None]))
        });
        check(&form(&[("image", b"")]), Ok((Some(vec![]), vec![None, None])));
        check(&form(&[("timestamp", "é".as_bytes())]), Ok((None, vec![text("é"), None])));
        check(&[&form(&[("image", b"a")])[..], b"what follows means nothing"].concat(), {
            Ok((Some(b"a".to_vec()), vec![None, None]))
        });
    }

    #[test]
    fn what_is_no_form_of_ours_is_refused() {
        let refused = |text: &str| Err(text.to_owned());
        check(&form(&[("image", b"a"), ("image", b"b")]), refused("Twice(\"image\")"));
        check(&form(&[("timestamp", b"1"), ("timestamp", b"1")]), refused("Twice(\"timestamp\")"));
        check(&form(&[("timestamp", &[b'1'; 1025])]), refused("TextTooLong(\"timestamp\")"));
        check(&form(&[("image", &[b'1'; 100_001])]), refused("too much"));
        check(&form(&[("other", &b""[..]); 17]), refused("TooManyParts"));
        check(b"", refused("malformed"));
        check(&part("image", b"a"), refused("malformed"));
        check(b"--b0\nContent-Disposition: form-data; name=image\n\na\n--b0--\n", refused("malformed"));
        for kind in
            ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=a"]
        {
            let reader = FormReader::new(kind, NAMES, Bytes100K::default());
            assert!(matches!(reader.err(), Some(FormError::Boundary)), "{kind}");
        }
        let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
        assert!(FormReader::new(&long, NAMES, Bytes100K::default()).is_err());
    }

    #[test]
    fn headers_have_a_bound() {
        let head = format!("--b0\r\nX-Long: {}", "a".repeat(1 << 20));
        for flood in [vec![b'x'; 1 << 20], head.into_bytes()] {
            let n_taken = flood
                .chunks(4096)
                .scan(FormReader::new(KIND, NAMES, Bytes100K::default()).ok().unwrap(), |reader, piece| {
                    reader.take(piece.to_vec()).ok()
                });
            assert!(n_taken.count() * 4096 <= MAX_HEADER_BYTES, "more is held than may be");
        }
    }

    proptest! {
        #[test]
        fn a_split_changes_nothing(
            pieces in proptest::collection::vec(prop_oneof![
                Just(part("image", b"abc")), Just(part("timestamp", b"1")), Just(b"--b0--\r\n".to_vec()),
                Just(b"--b0".to_vec()), Just(b"\r\n".to_vec()), Just(b"--".to_vec()), Just(part("x", b"--b")),
            ], 0..6),
            n_bytes in 1..30_usize,
        ) {
            let body = pieces.concat();
            prop_assert_eq!(read(&body, n_bytes), read(&body, body.len().max(1)));
        }
    }
}
