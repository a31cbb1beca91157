//! `pixlserv api-key`: keys and what they may be used for, while servers run.

use std::path::PathBuf;
use std::sync::Arc;

use argh::FromArgs;

use super::{describe, index, load, say};
use crate::access::{ApiKey, new_key, random_digits};
use crate::config::{Config, IndexChoice};
use crate::index::{Index, KeyRecord, Permission};

/// Manage API keys, also while servers run; they see a change within two seconds.
#[derive(FromArgs)]
#[argh(subcommand, name = "api-key")]
pub(super) struct Arguments {
    /// configuration whose embedded store has the keys (default: that of the folder data); with redis it is not needed
    #[argh(option)]
    config: Option<PathBuf>,

    #[argh(subcommand)]
    command: Option<Command>,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Add(Add),
    List(List),
    Info(Info),
    Remove(Remove),
    GenerateSecret(GenerateSecret),
    Modify(Modify),
}

/// Make a key with all permissions; its secret is shown this once.
#[derive(FromArgs)]
#[argh(subcommand, name = "add")]
struct Add {}

/// List all keys and their permissions.
#[derive(FromArgs)]
#[argh(subcommand, name = "list")]
struct List {}

/// Show the permissions of a key.
#[derive(FromArgs)]
#[argh(subcommand, name = "info")]
struct Info {
    /// the key
    #[argh(positional)]
    key: String,
}

/// Remove a key, its secret and its permissions.
#[derive(FromArgs)]
#[argh(subcommand, name = "remove")]
struct Remove {
    /// the key
    #[argh(positional)]
    key: String,
}

/// Give a key another secret, which is shown this once.
#[derive(FromArgs)]
#[argh(subcommand, name = "generatesecret")]
struct GenerateSecret {
    /// the key
    #[argh(positional)]
    key: String,
}

/// Give a permission to a key, or take it.
#[derive(FromArgs)]
#[argh(subcommand, name = "modify")]
struct Modify {
    /// the key
    #[argh(positional)]
    key: String,

    /// add or remove
    #[argh(positional)]
    change: String,

    /// get or upload
    #[argh(positional)]
    permission: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), String> {
    let Some(command) = &arguments.command else {
        return say(help());
    };
    let config = load(arguments.config.as_deref())?;
    match command {
        Command::Add(_) => add(&config),
        Command::List(_) => list(&*open(&config)?),
        Command::Info(info) => show(&*open(&config)?, &info.key),
        Command::Remove(remove) => remove_key(&*open(&config)?, &remove.key),
        Command::GenerateSecret(command) => generate_secret(&*open(&config)?, &command.key),
        Command::Modify(modify) => change(&*open(&config)?, modify),
    }
}

/// The help text, which lists the commands.
fn help() -> String {
    let help = Arguments::from_args(&["pixlserv api-key"], &["--help"]);
    help.err().map(|exit| exit.output).unwrap_or_default()
}

/// Nothing is looked for where no server has ever kept anything: the path is more likely wrong.
fn open(config: &Config) -> Result<Arc<dyn Index>, String> {
    let path = index::embedded_path(config);
    if config.index.0 == IndexChoice::Embedded && !path.exists() {
        return Err(format!(
            "there are no keys in {} yet; name the configuration of the server with --config, and run from its folder",
            config.data_path.display()
        ));
    }
    index::open(config)
}

fn add(config: &Config) -> Result<(), String> {
    let index = index::open(config)?;
    let (key, secret) = (new_key()?, random_digits()?);
    if !index.add_key(key.reveal(), &secret).map_err(|error| describe(&error))? {
        return Err("that key exists already, which nobody will believe; try again".to_owned());
    }
    match config.index.0 {
        IndexChoice::Embedded => eprintln!("Kept in {}.", index::embedded_path(config).display()),
        _ => eprintln!("Kept in redis."),
    }
    say(format!("Key: {}\nSecret: {secret}\n", key.reveal()))
}

/// One line a key.
fn list(index: &dyn Index) -> Result<(), String> {
    let keys = index.keys().map_err(|error| describe(&error))?;
    say(keys.iter().map(|(name, permissions)| format!("{name}  {permissions}\n")).collect::<String>())
}

fn show(index: &dyn Index, key: &str) -> Result<(), String> {
    let KeyRecord { permissions, secret } = find(index, key)?;
    let note = if secret.is_empty() { "Secret: none, so that it can sign nothing\n" } else { "" };
    say(format!("Key: {key}\nPermissions: {permissions}\n{note}"))
}

fn remove_key(index: &dyn Index, key: &str) -> Result<(), String> {
    let key = parse(key)?;
    confirm(&key, index.remove_key(key.reveal()).map_err(|error| describe(&error))?)?;
    say(format!("Removed {}.\n", key.reveal()))
}

fn generate_secret(index: &dyn Index, key: &str) -> Result<(), String> {
    let (key, secret) = (parse(key)?, random_digits()?);
    confirm(&key, index.set_secret(key.reveal(), &secret).map_err(|error| describe(&error))?)?;
    say(format!("Secret: {secret}\n"))
}

fn change(index: &dyn Index, modify: &Modify) -> Result<(), String> {
    let is_given = match modify.change.as_str() {
        "add" => true,
        "remove" => false,
        other => return Err(format!("{other:?} is no change of a permission: it must be add or remove")),
    };
    let permission = Permission::ALL.into_iter().find(|permission| permission.name() == modify.permission);
    let permission =
        permission.ok_or_else(|| format!("{:?} is no permission: it must be get or upload", modify.permission))?;
    let key = parse(&modify.key)?;
    confirm(&key, index.set_permission(key.reveal(), permission, is_given).map_err(|error| describe(&error))?)?;
    show(index, key.reveal())
}

fn find(index: &dyn Index, key: &str) -> Result<KeyRecord, String> {
    let key = parse(key)?;
    index.key(key.reveal()).map_err(|error| describe(&error))?.ok_or_else(|| unknown(key.reveal()))
}

fn parse(key: &str) -> Result<ApiKey, String> {
    ApiKey::parse(key).ok_or_else(|| unknown(key))
}

fn confirm(key: &ApiKey, exists: bool) -> Result<(), String> {
    if exists { Ok(()) } else { Err(unknown(key.reveal())) }
}

fn unknown(key: &str) -> String {
    format!("there is no key {key:?}; `pixlserv api-key list` shows all")
}
