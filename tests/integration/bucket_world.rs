//! An S3 server, a proxy in front of it that can fail and counts, and programs that keep their images there.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pixlserv::store::objects::{self, Content, InMemory, ObjectError, Objects, S3Options};
use tempfile::TempDir;

use crate::fault_proxy::{FaultProxy, Seen};
use crate::redis_server::RedisServer;
use crate::s3_server::S3Server;
use crate::server::{Answer, PATIENCE, Server, poll, program};

/// Storage and proxy; servers come and go.
pub(crate) struct BucketWorld {
    pub(crate) s3: S3Server,
    pub(crate) proxy: FaultProxy,
    /// The bucket itself, without the proxy.
    pub(crate) objects: Arc<dyn Objects>,
    directory: TempDir,
}

/// What was asked of the storage: `GET cat.jpg`, one line a request, in order.
pub(crate) fn lines(requests: &[Seen]) -> Vec<String> {
    let line = |seen: &Seen| {
        let path = seen.head.target.split('?').next().unwrap();
        format!("{} {}", seen.head.method, path.splitn(3, '/').nth(2).unwrap_or("(bucket)"))
    };
    requests.iter().map(line).collect()
}

impl BucketWorld {
    pub(crate) fn start() -> Self {
        let s3 = S3Server::start();
        let proxy = FaultProxy::start(s3.address());
        let options = S3Options {
            region: s3.region.clone(),
            endpoint: Some(s3.endpoint()),
            bucket: s3.bucket.clone(),
            access_key_id: s3.access_key.clone(),
            secret_access_key: s3.secret.clone(),
        };
        let objects = objects::s3(&options, PATIENCE).unwrap();
        Self { s3, proxy, objects, directory: TempDir::new().unwrap() }
    }

    /// Puts an image into the bucket, as others do that share it.
    pub(crate) fn put(&self, name: &str, content: Vec<u8>) {
        self.objects.put(name, &Content::Bytes(Arc::new(content)), "image/jpeg").unwrap();
    }

    /// What the bucket has under a name.
    pub(crate) fn stored(&self, name: &str) -> Option<Vec<u8>> {
        let mut content = InMemory::new(1 << 30);
        match self.objects.get(name, None, &mut content) {
            Ok(_) => Some(content.bytes),
            Err(ObjectError::Missing) => None,
            Err(error) => panic!("{name}: {error}"),
        }
    }

    /// Names of the objects that begin so.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let page = self.objects.list(prefix, None, 1000).unwrap();
        assert_eq!(page.next, None, "more than a test should make");
        page.objects.into_iter().map(|object| object.name).collect()
    }

    /// The program, by way of the proxy.
    pub(crate) fn program(&self, redis: Option<&RedisServer>) -> Command {
        let mut command = program();
        command.envs(self.s3.environment(&self.proxy.endpoint()));
        if let Some(redis) = redis {
            command.env("PIXLSERV_REDIS_URL", redis.url());
        }
        command
    }

    /// A server with data of its own; its first requests, by which it looks whether it may use the bucket, are forgotten.
    pub(crate) fn serve(&self, redis: Option<&RedisServer>, configuration: &str) -> Server {
        let directory = Arc::new(TempDir::new().unwrap());
        let server = Server::start_as(self.program(redis), directory, self.directory.path(), configuration);
        self.wait_for_silence();
        self.proxy.clear();
        server
    }

    /// Waits until nothing more is asked for a while: what is kept and looked through in the background.
    pub(crate) fn wait_for_silence(&self) {
        let mut before = (usize::MAX, Instant::now());
        let silent = poll(Instant::now() + PATIENCE, || {
            let n_requests = self.proxy.requests().len();
            if n_requests != before.0 {
                before = (n_requests, Instant::now());
            }
            (before.1.elapsed() > Duration::from_millis(150)).then_some(())
        });
        silent.expect("the storage is asked without end");
    }
}

/// Waits until an answer comes from the cache: those who ask while it is written share the work.
pub(crate) fn wait_for_hit(server: &Server, target: &str) -> Answer {
    let hit = || Some(server.get(target)).filter(|answer| answer.came() == "hit");
    poll(Instant::now() + PATIENCE, hit).unwrap_or_else(|| panic!("{target} is never kept: {}", server.log_of_events()))
}
