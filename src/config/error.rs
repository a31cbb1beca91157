//! Why a configuration cannot be used. Messages are for operators: what is wrong, where, and what is allowed.

use std::fmt;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ConfigError {
    #[error("cannot read the configuration {file}, pass the path of a YAML file (config/example.yaml shows every key)")]
    Unreadable { file: String, source: std::io::Error },
    #[error("the configuration {file} is larger than {max} bytes")]
    TooLarge { file: String, max: u64 },
    #[error("{file}{fault}")]
    Invalid { file: String, fault: Fault },
    /// The value is not part of the message where it may hold a secret.
    #[error("environment variable {variable} {message}")]
    Environment { variable: &'static str, message: String },
}

/// A place in the file, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line of the file.
    pub line: usize,
    /// Character of the line.
    pub column: usize,
}

/// What is wrong in the text of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands, if a place can be told.
    pub position: Option<Position>,
    /// `transformations[1].text[0].size`; empty where the file as a whole is meant.
    pub key: String,
    /// What is allowed and what was given.
    pub message: String,
}

/// Continues the name of the file: `, line 12, column 9: jpeg-quality: must be 1 to 100, got 0`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.position {
            write!(f, ", line {line}, column {column}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// One step from a value into a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Key(&'static str),
    Item(usize),
}

/// `transformations[1].text[0].size`
pub(super) fn key_path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key) if path.is_empty() => path.push_str(key),
            Step::Key(key) => {
                path.push('.');
                path.push_str(key);
            }
            Step::Item(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}
