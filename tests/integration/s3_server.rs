//! An Amazon S3 of one's own, over a folder: s3s speaks the protocol, and checks signatures and clocks; s3s-fs keeps the
//! files. What S3 does beyond that stands here: names of any kind, conditional requests, encoded lists, permissions, one
//! region.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use async_trait::async_trait;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, ETag, ETagCondition, EncodingType, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, Object, PutObjectInput,
    PutObjectOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const REGION: &str = "eu-central-1";
/// What S3 leaves as it is when it encodes names in lists; a space becomes a `+`.
const LISTED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// A running server; it ends with this value, and its folder too.
pub(crate) struct S3Server {
    pub(crate) bucket: String,
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret: String,
    address: SocketAddr,
    folder: TempDir,
    shelf: Arc<Shelf>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl S3Server {
    /// Starts it, with an empty bucket and one key that may do everything.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let (bucket, access_key, secret) =
            ("pictures", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        std::fs::create_dir(folder.path().join(bucket)).unwrap();
        let shelf = Arc::new(Shelf {
            files: FileSystem::new(folder.path()).unwrap(),
            bucket: bucket.to_owned(),
            names: Mutex::default(),
            denied: Mutex::default(),
            n_files: AtomicU64::new(0),
        });
        let mut service = S3ServiceBuilder::new(Layer(shelf.clone()));
        service.set_auth(OneKey { access_key, secret });
        service.set_access(Layer(shelf.clone()));
        let service = service.build();
        let (started, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || serve(&service, &started, stopped));
        Self {
            bucket: bucket.to_owned(),
            region: REGION.to_owned(),
            access_key: access_key.to_owned(),
            secret: secret.to_owned(),
            address: address.recv().unwrap(),
            folder,
            shelf,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where the files are; their names are not those of the objects.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file with the content of an object.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        let names = self.shelf.names.lock().unwrap();
        names.get(name).map(|file| self.folder.path().join(&self.bucket).join(file))
    }

    /// From now on the key may not do these, in the words of IAM: `&["PutObject"]`; everything else it may.
    pub(crate) fn deny(&self, actions: &[&str]) {
        *self.shelf.denied.lock().unwrap() = actions.iter().map(|&action| action.to_owned()).collect();
    }

    /// What the program needs to know, with the server at this endpoint, which may be one in between.
    pub(crate) fn environment(&self, endpoint: &str) -> [(&'static str, String); 5] {
        [
            ("AWS_ACCESS_KEY_ID", self.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret.clone()),
            ("PIXLSERV_S3_BUCKET", self.bucket.clone()),
            ("PIXLSERV_S3_REGION", self.region.clone()),
            ("PIXLSERV_S3_ENDPOINT", endpoint.to_owned()),
        ]
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it has panicked, its test has failed already.
            let _ = thread.join();
        }
    }
}

/// Takes connections until `stopped`; those that are open break then.
fn serve(service: &S3Service, started: &mpsc::Sender<SocketAddr>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        started.send(listener.local_addr().unwrap()).unwrap();
        tokio::spawn({
            let service = service.clone();
            async move {
                while let Ok((socket, _)) = listener.accept().await {
                    let service = service.clone();
                    tokio::spawn(async move {
                        let server = Builder::new(TokioExecutor::new());
                        // A client may leave whenever it likes.
                        let _ = server.serve_connection(TokioIo::new(socket), service).await;
                    });
                }
            }
        });
        let _ = stopped.await;
    });
    runtime.shutdown_background();
}

/// One bucket. Every object that is put gets a file of its own, which is the object once it is whole.
struct Shelf {
    files: FileSystem,
    bucket: String,
    /// Which file is the object.
    names: Mutex<BTreeMap<String, String>>,
    denied: Mutex<BTreeSet<String>>,
    n_files: AtomicU64,
}

/// The traits of s3s for a [`Shelf`] that is shared.
struct Layer(Arc<Shelf>);

impl Shelf {
    fn is_denied(&self, action: &str) -> bool {
        self.denied.lock().unwrap().contains(action)
    }

    /// What S3 looks at before anything else.
    fn enter<T>(&self, bucket: &str, request: &S3Request<T>) -> S3Result<()> {
        if request.region.as_ref().is_some_and(|region| region.as_str() != REGION) {
            let mut error = s3_error!(AuthorizationHeaderMalformed, "the region is wrong; expecting '{REGION}'");
            error
                .set_headers([("x-amz-bucket-region".parse().unwrap(), REGION.parse().unwrap())].into_iter().collect());
            return Err(error);
        }
        if bucket == self.bucket { Ok(()) } else { Err(s3_error!(NoSuchBucket, "The specified bucket does not exist")) }
    }

    /// The file of an object. Who may not list objects is not told that there is none.
    fn find(&self, name: &str) -> S3Result<String> {
        let code = if self.is_denied("ListBucket") { S3ErrorCode::AccessDenied } else { S3ErrorCode::NoSuchKey };
        self.names.lock().unwrap().get(name).cloned().ok_or_else(|| S3Error::new(code))
    }

    async fn head(&self, file: String) -> S3Result<HeadObjectOutput> {
        let input = HeadObjectInput::builder().bucket(self.bucket.clone()).key(file).build().unwrap();
        Ok(self.files.head_object(request(input)).await?.output)
    }
}

/// A request of our own.
fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: http::Method::GET,
        uri: http::Uri::default(),
        headers: http::HeaderMap::default(),
        extensions: http::Extensions::default(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

/// RFC 9110 §13.1.2
fn unless_changed(condition: Option<&ETagCondition>, tag: Option<&ETag>) -> S3Result<()> {
    match (condition, tag) {
        (Some(ETagCondition::Any), _) => Err(S3Error::new(S3ErrorCode::NotModified)),
        (Some(ETagCondition::ETag(known)), Some(tag)) if known.weak_cmp(tag) => {
            Err(S3Error::new(S3ErrorCode::NotModified))
        }
        _ => Ok(()),
    }
}

struct OneKey {
    access_key: &'static str,
    secret: &'static str,
}

#[async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key { Ok(self.secret.into()) } else { Err(s3_error!(InvalidAccessKeyId)) }
    }
}

#[async_trait]
impl S3Access for Layer {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let action = match context.s3_op().name() {
            "HeadObject" => "GetObject",
            "ListObjectsV2" => "ListBucket",
            name => name,
        };
        let is_allowed = context.credentials().is_some() && !self.0.is_denied(action);
        if is_allowed { Ok(()) } else { Err(s3_error!(AccessDenied, "Access Denied")) }
    }
}

#[async_trait]
impl S3 for Layer {
    async fn get_object(&self, mut request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.0.enter(&request.input.bucket, &request)?;
        let file = self.0.find(&request.input.key)?;
        let head = self.0.head(file.clone()).await?;
        unless_changed(request.input.if_none_match.as_ref(), head.e_tag.as_ref())?;
        request.input.key = file;
        self.0.files.get_object(request).await
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.0.enter(&request.input.bucket, &request)?;
        let head = self.0.head(self.0.find(&request.input.key)?).await?;
        unless_changed(request.input.if_none_match.as_ref(), head.e_tag.as_ref())?;
        Ok(S3Response::new(head))
    }

    async fn put_object(&self, mut request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.0.enter(&request.input.bucket, &request)?;
        let file = self.0.n_files.fetch_add(1, Ordering::Relaxed).to_string();
        let name = std::mem::replace(&mut request.input.key, file.clone());
        let response = self.0.files.put_object(request).await?;
        self.0.names.lock().unwrap().insert(name, file);
        Ok(response)
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.0.enter(&request.input.bucket, &request)?;
        self.0.names.lock().unwrap().remove(&request.input.key);
        Ok(S3Response::with_status(DeleteObjectOutput::default(), http::StatusCode::NO_CONTENT))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.0.enter(&request.input.bucket, &request)?;
        let input = request.input;
        let limit = usize::try_from(input.max_keys.unwrap_or(1000)).unwrap_or(0).min(1000);
        let (prefix, is_encoded) = (input.prefix.unwrap_or_default(), input.encoding_type.is_some());
        let after = input.continuation_token.or(input.start_after);
        let from = after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let found: Vec<(String, String)> = {
            let names = self.0.names.lock().unwrap();
            let behind = names.range((from, Bound::Unbounded)).filter(|(name, _)| name.starts_with(&prefix));
            behind.take(limit + 1).map(|(name, file)| (name.clone(), file.clone())).collect()
        };
        let is_truncated = found.len() > limit;
        let last = found[..limit.min(found.len())].last().map(|(name, _)| name.clone());
        let mut contents = Vec::new();
        for (name, file) in found.into_iter().take(limit) {
            let head = self.0.head(file).await?;
            contents.push(Object {
                key: Some(if is_encoded { encode(&name) } else { name }),
                size: head.content_length,
                last_modified: head.last_modified,
                e_tag: head.e_tag,
                ..Object::default()
            });
        }
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(if is_encoded { encode(&prefix) } else { prefix }),
            encoding_type: is_encoded.then(|| EncodingType::from_static(EncodingType::URL)),
            max_keys: i32::try_from(limit).ok(),
            key_count: i32::try_from(contents.len()).ok(),
            is_truncated: Some(is_truncated),
            next_continuation_token: last.filter(|_| is_truncated),
            contents: Some(contents),
            ..ListObjectsV2Output::default()
        }))
    }
}

fn encode(name: &str) -> String {
    utf8_percent_encode(name, &LISTED).to_string().replace("%20", "+")
}
