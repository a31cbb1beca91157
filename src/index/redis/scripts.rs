//! What redis does as one step: scripts in Lua, in files beside this one. Each begins with what all have in common.
//! Where a question needs several commands it is a script, too, with one answer to wait for: a client that has sent
//! several commands waits for each of their answers until its time is over.

use std::sync::LazyLock;

use redis::Script;

macro_rules! script {
    ($($file:literal),+) => { LazyLock::new(|| Script::new(concat!($(include_str!($file)),+))) };
}

pub(super) const GENERATIONS: &str = "pixlserv:generations";
pub(super) const RECORDS: &str = "pixlserv:records";
pub(super) const RECORDS_BY_TIME: &str = "pixlserv:records-by-time";
pub(super) const TOTALS: &str = "pixlserv:totals";
pub(super) const JOBS: &str = "pixlserv:jobs";
pub(super) const RATE: &str = "pixlserv:rate:";
pub(super) const CLAIMS: &str = "pixlserv:claim:";
pub(super) const NOTES: &str = "pixlserv:note:";

/// Puts right what redis has forgotten of the generation.
pub(super) static SETTLE: LazyLock<Script> = script!("lua/generations.lua", "lua/settle.lua");
pub(super) static IS_PURGED: LazyLock<Script> = script!("lua/generations.lua", "lua/is_purged.lua");
pub(super) static PURGES: LazyLock<Script> = script!("lua/generations.lua", "lua/purges.lua");
pub(super) static INSERT: LazyLock<Script> = script!("lua/generations.lua", "lua/records.lua", "lua/insert.lua");
pub(super) static TOUCH: LazyLock<Script> = script!("lua/records.lua", "lua/touch.lua");
pub(super) static EVICT: LazyLock<Script> = script!("lua/records.lua", "lua/evict.lua");
pub(super) static REMOVE: LazyLock<Script> = script!("lua/records.lua", "lua/remove.lua");
pub(super) static PURGE: LazyLock<Script> = script!("lua/generations.lua", "lua/records.lua", "lua/purge.lua");
/// The rest of a purge, for a source that has very many answers.
pub(super) static PURGE_REST: LazyLock<Script> = script!("lua/records.lua", "lua/purge_rest.lua");
pub(super) static CLEAR: LazyLock<Script> = script!("lua/generations.lua", "lua/clear.lua");
/// Removes a batch of the records that are to be cleared.
pub(super) static CLEAR_BATCH: LazyLock<Script> = script!("lua/records.lua", "lua/clear_batch.lua");
pub(super) static SELECT: LazyLock<Script> = script!("lua/records.lua", "lua/select.lua");
pub(super) static KEY: LazyLock<Script> = script!("lua/key.lua");
pub(super) static KEYS: LazyLock<Script> = script!("lua/keys.lua");
pub(super) static ADD_KEY: LazyLock<Script> = script!("lua/add_key.lua");
pub(super) static REMOVE_KEY: LazyLock<Script> = script!("lua/remove_key.lua");
pub(super) static SET_SECRET: LazyLock<Script> = script!("lua/set_secret.lua");
pub(super) static SET_PERMISSION: LazyLock<Script> = script!("lua/set_permission.lua");
pub(super) static PUSH_JOB: LazyLock<Script> = script!("lua/push_job.lua");
pub(super) static CLAIM_JOB: LazyLock<Script> = script!("lua/claim_job.lua");
pub(super) static END_JOB: LazyLock<Script> = script!("lua/end_job.lua");
pub(super) static CLAIM: LazyLock<Script> = script!("lua/claim.lua");
pub(super) static RELEASE: LazyLock<Script> = script!("lua/release.lua");
pub(super) static TOLD: LazyLock<Script> = script!("lua/told.lua");
pub(super) static TAKE_RATE: LazyLock<Script> = script!("lua/take_rate.lua");
