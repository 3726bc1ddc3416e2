//! `stampede config explain`: what each setting is, where that comes from, and what it does.

use super::layers::{Layers, flag_name, unknown, variable_name};
use super::settings::{Setting, catalogue};
use serde::Serialize;
use std::fmt::Write;

/// A setting, explained.
#[derive(Debug, Serialize)]
pub struct Explained {
    name: &'static str,
    value: String,
    source: String,
    default: String,
    kind: &'static str,
    environment: String,
    flag: String,
    effect: String,
}

/// All settings, or those whose name is `name` or begins with `name.`.
///
/// # Errors
/// A message when there is none of this name.
pub fn explain(layers: &Layers, name: Option<&str>) -> Result<Vec<Explained>, String> {
    let wanted = |setting: &&Setting| match name {
        None => true,
        Some(name) => setting.name == name || setting.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')),
    };
    let explained: Vec<Explained> = catalogue().filter(wanted).map(|setting| one(layers, setting)).collect();
    if explained.is_empty() { Err(unknown(name.unwrap_or_default())) } else { Ok(explained) }
}

/// For people.
#[must_use]
pub fn text(explained: &[Explained]) -> String {
    let mut text = String::new();
    for (i, setting) in explained.iter().enumerate() {
        let Explained { name, value, source, default, kind, environment, flag, effect } = setting;
        let gap = if i == 0 { "" } else { "\n" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{gap}{name} = {value}");
        let _ = writeln!(text, "    source   {source}");
        let _ = writeln!(text, "    default  {default}  ({kind})");
        let _ = writeln!(text, "    names    {flag}  {environment}");
        for line in effect.lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

fn one(layers: &Layers, setting: &Setting) -> Explained {
    let (value, source) = layers.get(setting);
    Explained {
        name: setting.name,
        value: (setting.show)(&value),
        source: source.to_string(),
        default: (setting.default)(),
        kind: setting.kind,
        environment: variable_name(setting.name),
        flag: flag_name(setting.name),
        effect: setting.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n"),
    }
}
