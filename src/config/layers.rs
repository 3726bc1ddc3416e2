//! The sources of settings, one over the other, and what is wrong with them.

use super::flags::Flags;
use super::settings::{Setting, catalogue};
use super::value::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The file that is read when it is there and no other was named.
pub const DEFAULT_FILE: &str = "stampede.toml";

/// Variables with our prefix that name no setting.
const NO_SETTINGS: [&str; 4] = ["STAMPEDE_CONFIG", "STAMPEDE_KEY", "STAMPEDE_SERVER", "STAMPEDE_URL"];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody named it.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// The environment, under this name.
    Environment(String),
    /// The command line, under this name.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Environment(name) => write!(f, "environment {name}"),
            Source::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Everything wrong with the configuration. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// What the sources say, the strongest last word per setting.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    values: BTreeMap<&'static str, (String, Source)>,
}

impl Layers {
    /// Reads file, environment and flags.
    ///
    /// # Errors
    /// An unreadable file, and every name that is no setting.
    pub fn load(flags: &Flags) -> Result<Layers, ConfigError> {
        let mut layers = Layers::default();
        let mut wrong = Vec::new();
        let named = flags.config.clone().or_else(|| std::env::var_os("STAMPEDE_CONFIG").map(PathBuf::from));
        let path = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        match std::fs::read_to_string(&path) {
            Ok(text) => layers.add_file(&path, &text, &mut wrong),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => wrong.push(format!("{}: {error}", path.display())),
        }
        layers.add_environment(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v))), &mut wrong);
        for (name, value) in &flags.values {
            layers.put(name, value.clone(), Source::Flag(flag_name(name)));
        }
        if wrong.is_empty() { Ok(layers) } else { Err(ConfigError(wrong)) }
    }

    /// Adds a file's settings.
    pub(super) fn add_file(&mut self, path: &Path, text: &str, wrong: &mut Vec<String>) {
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => return wrong.push(format!("{}: {}", path.display(), error.to_string().trim_end())),
        };
        for (name, value) in flatten("", table) {
            match (find(&name), scalar(value)) {
                (Some(setting), Some(value)) => self.put(setting.name, value, Source::File(path.to_owned())),
                (Some(setting), None) => {
                    wrong.push(format!("{}: {name} must be one value: {}", path.display(), setting.kind))
                }
                (None, _) => wrong.push(format!("{}: {}", path.display(), unknown(&name))),
            }
        }
    }

    /// Adds variables that start with `STAMPEDE_`.
    pub(super) fn add_environment(
        &mut self,
        variables: impl Iterator<Item = (String, std::ffi::OsString)>,
        wrong: &mut Vec<String>,
    ) {
        for (name, value) in variables {
            if !name.starts_with("STAMPEDE_") || NO_SETTINGS.contains(&name.as_str()) || from_kubernetes(&name) {
                continue;
            }
            match (catalogue().find(|setting| variable_name(setting.name) == name), value.into_string()) {
                (Some(setting), Ok(value)) => self.put(setting.name, value, Source::Environment(name)),
                (Some(_), Err(_)) => wrong.push(format!("environment {name}: not valid UTF-8")),
                (None, _) => {
                    let guess = name.trim_start_matches("STAMPEDE_").to_lowercase().replace('_', "-");
                    wrong.push(format!("environment {name}: {}", unknown(&guess)));
                }
            }
        }
    }

    /// Sets one value.
    pub fn put(&mut self, name: &'static str, value: String, source: Source) {
        self.values.insert(name, (value, source));
    }

    /// What a setting says, and who said it.
    #[must_use]
    pub fn get(&self, setting: &Setting) -> (String, Source) {
        self.values.get(setting.name).cloned().unwrap_or_else(|| ((setting.default)(), Source::Default))
    }

    /// Starts reading values, collecting what is wrong.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader { layers: self, wrong: Vec::new() }
    }
}

/// Reads values one by one and remembers what was wrong with them.
#[derive(Debug)]
pub struct Reader<'a> {
    layers: &'a Layers,
    wrong: Vec<String>,
}

impl Reader<'_> {
    /// The value of a setting; its default when what was said cannot be read, which [`Reader::finish`] reports.
    pub(super) fn take<T: Value>(&mut self, name: &'static str) -> T {
        let setting = find(name).expect("every field names a setting of the catalogue");
        let (text, source) = self.layers.get(setting);
        T::parse(&text).unwrap_or_else(|expected| {
            let shown = (setting.show)(&text);
            self.wrong.push(format!("{name} = {shown:?} ({source}): expected {expected}"));
            T::parse(&(setting.default)()).expect("defaults can be read back")
        })
    }

    /// Adds what is wrong with several values together.
    pub fn complain(&mut self, message: String) {
        self.wrong.push(message);
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Everything that was wrong.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.wrong.is_empty() { Ok(()) } else { Err(ConfigError(self.wrong)) }
    }
}

/// `holds.ttl` as an environment variable: `STAMPEDE_HOLDS_TTL`.
#[must_use]
pub fn variable_name(setting: &str) -> String {
    format!("STAMPEDE_{}", setting.to_uppercase().replace(['.', '-'], "_"))
}

/// `holds.ttl` as a flag: `--holds-ttl`.
#[must_use]
pub fn flag_name(setting: &str) -> String {
    format!("--{}", setting.replace('.', "-"))
}

/// The setting of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    catalogue().find(|setting| setting.name == name)
}

/// What to say about a name that is no setting: the nearest one that is.
#[must_use]
pub fn unknown(name: &str) -> String {
    let near = catalogue()
        .map(|setting| (distance(&name.replace('.', "-"), &setting.name.replace('.', "-")), setting.name))
        .min()
        .filter(|(distance, _)| *distance <= 1 + name.len() / 3);
    match near {
        Some((_, near)) => format!("unknown setting {name}; did you mean {near}?"),
        None => format!("unknown setting {name}; `stampede config explain` lists all"),
    }
}

/// A Kubernetes service called `stampede` puts these into every pod's environment.
fn from_kubernetes(name: &str) -> bool {
    name == "STAMPEDE_PORT" || name.starts_with("STAMPEDE_PORT_") || name.starts_with("STAMPEDE_SERVICE_")
}

fn flatten(prefix: &str, table: toml::Table) -> Vec<(String, toml::Value)> {
    let mut flat = Vec::new();
    for (key, value) in table {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) if find(&name).is_none() && !inner.is_empty() => {
                flat.extend(flatten(&name, inner));
            }
            // An empty section of ours says nothing, and that is fine.
            toml::Value::Table(inner) if inner.is_empty() && is_section(&name) => {}
            value => flat.push((name, value)),
        }
    }
    flat
}

fn is_section(name: &str) -> bool {
    catalogue().any(|setting| setting.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn scalar(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

/// Edits between two names.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
