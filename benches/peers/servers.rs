//! The servers that are compared: how each is started, without caches, and what it calls a piece of work. All are given the
//! quality 80, turn pictures for display (but nginx, which cannot) and read from the same folder; all else is their own default.
//! That turning costs thumbor much: it decodes such a picture at full size.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{find, free_address, is_served, on_cores, start_pixlserv};
use crate::usage;
use crate::works::Operation;

/// A server under measurement; ends with this value.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    child: Child,
    pub(crate) address: String,
    target: Target,
}

/// The target of an operation on a file; `None` if the server has no such operation.
type Target = fn(Operation, &str) -> Option<String>;

struct Kind {
    name: &'static str,
    start: fn(&Place) -> Result<(Child, String), String>,
    target: Target,
}

/// Where a server runs.
struct Place<'a> {
    images: &'a Path,
    /// For what the server needs for itself.
    own: PathBuf,
    n_cores: usize,
}

const KINDS: [Kind; 6] = [
    Kind { name: "pixlserv", start: pixlserv, target: of_pixlserv },
    Kind { name: "sharp", start: sharp, target: of_sharp },
    Kind { name: "oximg", start: |place| oximg(place, &[]), target: of_oximg },
    Kind {
        name: "oximg-fast",
        start: |place| oximg(place, &[("OXIMG_DCT_MARGIN", "1.7"), ("OXIMG_JPEG_PROGRESSIVE", "0")]),
        target: of_oximg,
    },
    Kind { name: "thumbor", start: thumbor, target: of_thumbor },
    Kind { name: "nginx", start: nginx, target: of_nginx },
];

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

/// Where `scripts/bench-peers` puts what it installs.
pub(crate) fn installed(path: &str) -> Result<PathBuf, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers").join(path);
    if path.exists() { Ok(path) } else { Err(format!("there is no {}", path.display())) }
}

impl Server {
    /// Starts all that `is_wanted`, on the first `n_cores` cores; one that cannot be had is left out with a line.
    pub(crate) fn start_all(
        is_wanted: impl Fn(&str) -> bool,
        images: &Path,
        folder: &Path,
        n_cores: usize,
    ) -> Vec<Self> {
        let start = |kind: &Kind| {
            let own = tempfile::tempdir_in(folder).expect("a temporary folder").keep();
            let started = (kind.start)(&Place { images, own, n_cores }).and_then(|(child, address)| {
                let server = Self { name: kind.name, child, address, target: kind.target };
                if is_served(&server.address) { Ok(server) } else { Err("it does not listen".to_owned()) }
            });
            started.inspect_err(|error| eprintln!("skipped: {}: {error}", kind.name)).ok()
        };
        KINDS.iter().filter(|kind| is_wanted(kind.name)).filter_map(start).collect()
    }

    pub(crate) fn target(&self, operation: Operation, file: &str) -> Option<String> {
        (self.target)(operation, file)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // thumbor leaves its children behind. Nothing is left to do if a process has ended already.
        for id in usage::tree(self.child.id()) {
            if let Some(id) = rustix::process::Pid::from_raw(id.cast_signed()) {
                let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
            }
        }
        let _ = self.child.wait();
    }
}

impl Place<'_> {
    fn cores(&self) -> String {
        format!("0-{}", self.n_cores - 1)
    }

    fn spawn(&self, command: &mut Command) -> Result<Child, String> {
        let log = fs::File::create(self.own.join("log")).expect("a file for its log");
        let copy = log.try_clone().expect("a second handle of it");
        command.stdin(Stdio::null()).stdout(log).stderr(copy).spawn().map_err(|error| error.to_string())
    }
}

fn pixlserv(place: &Place) -> Result<(Child, String), String> {
    let file = place.own.join("config.yaml");
    let (images, data) = (place.images, place.own.join("data"));
    let text = format!(
        "listen: 127.0.0.1:0\nthrottling-rate: 0\nlocal-path: {images:?}\ndata-path: {data:?}\njpeg-quality: 80\n\
         pixel-threads: {}\nhttp: {{access-log: No}}\ncache: {{enabled: No, memory: 0}}\ntransformations:\n\
         \x20   - name: marked\n      parameters: w_512,h_512,c_a\n\
         \x20     watermark: {{source: badge.png, gravity: se, x-pos: 10, y-pos: 10, scale: 0.2}}\n",
        place.n_cores
    );
    fs::write(&file, text).expect("a file");
    let badge = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/images/badge.png");
    fs::copy(badge, images.join("badge.png")).expect("a copy");
    Ok(start_pixlserv(&file, Some(&place.cores())))
}

fn of_pixlserv(operation: Operation, file: &str) -> Option<String> {
    let parameters = match operation {
        Operation::Fit(width, height) => format!("w_{width},h_{height},c_a"),
        Operation::Cover(width, height) => format!("w_{width},h_{height},c_p,g_c"),
        Operation::Wide(width) => format!("w_{width}"),
        Operation::Gray(width, height) => format!("w_{width},h_{height},c_a,f_grayscale"),
        Operation::Watermark => "t_marked".to_owned(),
    };
    Some(format!("/image/{parameters}/{file}"))
}

fn sharp(place: &Place) -> Result<(Child, String), String> {
    let node = find("node").ok_or("there is no node")?;
    let modules = installed("node_modules/sharp")?;
    let address = free_address();
    let port = address.rsplit_once(':').expect("an address has a port").1;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/sharp.js");
    let mut command = on_cores(&node, Some(&place.cores()));
    command.env("NODE_PATH", modules.with_file_name(""));
    command.arg(script).arg(port).arg(place.images).arg(place.n_cores.to_string());
    Ok((place.spawn(&mut command)?, address))
}

fn of_sharp(operation: Operation, file: &str) -> Option<String> {
    match operation {
        Operation::Fit(width, height) => Some(format!("/fit/{width}/{height}/{file}")),
        Operation::Cover(width, height) => Some(format!("/cover/{width}/{height}/{file}")),
        Operation::Wide(width) => Some(format!("/wide/{width}/0/{file}")),
        Operation::Gray(..) | Operation::Watermark => None,
    }
}

fn oximg(place: &Place, settings: &[(&str, &str)]) -> Result<(Child, String), String> {
    let program = installed("bin/oximg")?;
    let address = free_address();
    let port = address.rsplit_once(':').expect("an address has a port").1;
    let mut command = on_cores(&program, Some(&place.cores()));
    command.env("IMAGES_DIR", place.images).env("OXIMG_BIND", "127.0.0.1").env("PORT", port).env("QUALITY", "80");
    command.envs(settings.iter().copied());
    Ok((place.spawn(&mut command)?, address))
}

/// It has no operation that crops.
fn of_oximg(operation: Operation, file: &str) -> Option<String> {
    match operation {
        Operation::Fit(width, height) => Some(format!("/resize/{width}/{height}/{file}")),
        Operation::Wide(width) => Some(format!("/resize/{width}/0/{file}")),
        Operation::Cover(..) | Operation::Gray(..) | Operation::Watermark => None,
    }
}

fn thumbor(place: &Place) -> Result<(Child, String), String> {
    let program = installed("thumbor/bin/thumbor")?;
    let address = free_address();
    let port = address.rsplit_once(':').expect("an address has a port").1;
    let file = place.own.join("thumbor.conf");
    let text = format!(
        "LOADER = 'thumbor.loaders.file_loader'\nFILE_LOADER_ROOT_PATH = {:?}\n\
         STORAGE = 'thumbor.storages.no_storage'\nRESULT_STORAGE = None\n\
         QUALITY = 80\nRESPECT_ORIENTATION = True\nALLOW_UNSAFE_URL = True\nSECURITY_KEY = 'bench'\n",
        place.images.display().to_string()
    );
    fs::write(&file, text).expect("a file");
    let mut command = on_cores(&program, Some(&place.cores()));
    command.args(["--ip", "127.0.0.1", "--port", port, "--processes", &place.n_cores.to_string(), "--conf"]);
    Ok((place.spawn(command.arg(file))?, address))
}

fn of_thumbor(operation: Operation, file: &str) -> Option<String> {
    match operation {
        Operation::Fit(width, height) => Some(format!("/unsafe/fit-in/{width}x{height}/{file}")),
        Operation::Cover(width, height) => Some(format!("/unsafe/{width}x{height}/{file}")),
        Operation::Wide(width) => Some(format!("/unsafe/{width}x0/{file}")),
        Operation::Gray(..) | Operation::Watermark => None,
    }
}

fn nginx(place: &Place) -> Result<(Child, String), String> {
    let module = Path::new("/usr/lib/nginx/modules/ngx_http_image_filter_module.so");
    let program = find("nginx").filter(|_| module.exists()).ok_or("there is no nginx with its image filter")?;
    let address = free_address();
    let at = |name: &str| place.own.join(name).display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};", at(kind)))
        .concat();
    let images = place.images.display();
    let location = |name: &str, kind: &str| {
        format!(
            "location ~ ^/{name}/([0-9]+|-)/([0-9]+|-)/(.+)$ {{ set $w $1; set $h $2; alias {images}/$3;\n\
             image_filter {kind} $w $h; image_filter_jpeg_quality 80; image_filter_buffer 64M; }}\n"
        )
    };
    let text = format!(
        "load_module {}; worker_processes {}; pid {}; error_log {}; daemon off;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; {temporary}\n\
         types {{ image/jpeg jpg; image/png png; }}\n\
         server {{ listen {address}; {} {} }} }}\n",
        module.display(),
        place.n_cores,
        at("pid"),
        at("error"),
        location("resize", "resize"),
        location("crop", "crop"),
    );
    fs::write(place.own.join("nginx.conf"), text).expect("a file");
    let mut command = on_cores(&program, Some(&place.cores()));
    command.arg("-c").arg(place.own.join("nginx.conf")).arg("-p").arg(&place.own);
    Ok((place.spawn(&mut command)?, address))
}

fn of_nginx(operation: Operation, file: &str) -> Option<String> {
    match operation {
        Operation::Fit(width, height) => Some(format!("/resize/{width}/{height}/{file}")),
        Operation::Cover(width, height) => Some(format!("/crop/{width}/{height}/{file}")),
        Operation::Wide(width) => Some(format!("/resize/{width}/-/{file}")),
        Operation::Gray(..) | Operation::Watermark => None,
    }
}
