//! What serde says about a value, in the words of an experiment file.

/// "`a`, `b`"
pub(in crate::experiment) fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|n| format!("`{n}`")).collect();
    names.join(", ")
}

/// A key or a choice that does not exist.
#[derive(Debug, PartialEq)]
pub(super) struct Unknown {
    /// "key" or "choice".
    pub kind: &'static str,
    /// As typed.
    pub name: String,
    /// What exists.
    pub known: Vec<String>,
    /// The same as a sentence.
    pub expected: String,
}

/// Takes "unknown field `x`, expected `a` or `b`" and its variants apart.
pub(super) fn unknown(said: &str) -> Option<Unknown> {
    let (kind, name, known): (_, _, Vec<String>) =
        if let Some(rest) = said.strip_prefix("unexpected keys in table: ") {
            let (name, known) = rest.split_once(", available keys: ")?;
            let known = known.split(", ").filter(|k| !k.is_empty());
            ("key", name, known.map(str::to_owned).collect())
        } else {
            let (kind, rest) = match said.strip_prefix("unknown field `") {
                Some(rest) => ("key", rest),
                None => ("choice", said.strip_prefix("unknown variant `")?),
            };
            let (name, rest) = rest.split_once("`, ")?;
            let known = rest.split('`').skip(1).step_by(2);
            (kind, name, known.map(str::to_owned).collect())
        };
    let list = quoted(known.iter().map(String::as_str));
    let expected = match known.len() {
        0 => "this table has no keys".to_owned(),
        1 => format!("expected {list}"),
        _ => format!("expected one of {list}"),
    };
    Some(Unknown {
        kind,
        name: name.to_owned(),
        known,
        expected,
    })
}

/// "invalid type: string "a", expected usize" as "expected `steps` to be ...; got ...".
pub(super) fn mismatch(key: &str, said: &str) -> String {
    let parts = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|p| said.strip_prefix(p))
        .and_then(|rest| rest.rsplit_once(", expected "));
    let Some((got, expected)) = parts else {
        return format!("`{key}`: {said}");
    };
    let expected = match expected {
        "usize" | "u64" | "u32" => "a whole number >= 0",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "a table",
        e if e.starts_with("struct ") => "a table",
        e => e,
    };
    let got = match got {
        "map" => "a table".to_owned(),
        "sequence" => "an array".to_owned(),
        g => ["integer `", "floating point `", "boolean `"]
            .iter()
            .find_map(|p| g.strip_prefix(p))
            .map_or_else(
                || g.to_owned(),
                |value| value.trim_end_matches('`').to_owned(),
            ),
    };
    format!("expected `{key}` to be {expected}; got {got}")
}

/// What needs no more than other words.
pub(super) fn plain(said: &str) -> String {
    match said.strip_prefix("missing field ") {
        Some(name) => format!("missing key {name}"),
        None => said.to_owned(),
    }
}
