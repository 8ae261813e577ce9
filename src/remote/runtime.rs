//! The asynchronous runtime behind the blocking calls: one for the process, started at first use.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

use crate::remote::error::{Error, Result};

/// Threads that drive requests. They wait for the network and for the blocking pool, they do not compute.
const WORKERS: usize = 2;

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::result::Result<Runtime, String>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            Builder::new_multi_thread()
                .worker_threads(WORKERS)
                .thread_name("clade-remote")
                .enable_time()
                .build()
                .map_err(|e| e.to_string())
        })
        .as_ref()
        .map_err(|detail| Error::Runtime { detail: detail.clone() })
}

/// Runs `future` to its end on the calling thread; what it spawns runs on the workers.
pub(crate) fn wait<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    runtime()?.block_on(future)
}
