//! From rustdoc's JSON to one line for each public item.
//!
//! The format has a version and changes with the compiler; what is read of it here is checked by reading it: a kind of item or type that
//! is not known is an error, so that nothing is left out unseen.

use serde_json::Value;
use std::collections::BTreeSet;

/// The version of the format that is known to be read rightly, and those after it as long as they have the same words.
const OLDEST: u64 = 45;

type Result<T> = std::result::Result<T, String>;

/// Every public item of a described crate, sorted.
pub(super) fn items(described: &Value) -> Result<Vec<String>> {
    let version = described["format_version"].as_u64().unwrap_or(0);
    if version < OLDEST {
        return Err(format!("expected rustdoc's format {OLDEST} or newer, found {version}"));
    }
    let index = &described["index"];
    let mut walk = Walk { index, lines: BTreeSet::new() };
    let root = look_up(index, &described["root"]).ok_or("no root")?;
    let name = text(&root["name"]).to_owned();
    walk.module(&root["inner"]["module"], &name)?;
    Ok(walk.lines.into_iter().collect())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The one key of an object such as `{"primitive": "u8"}`, with its value; a plain word such as `"infer"` is its own key.
fn only(value: &Value) -> Option<(&str, &Value)> {
    match value {
        Value::String(word) => Some((word, &Value::Null)),
        Value::Object(map) if map.len() == 1 => map.iter().next().map(|(key, value)| (key.as_str(), value)),
        _ => None,
    }
}

struct Walk<'a> {
    index: &'a Value,
    lines: BTreeSet<String>,
}

/// The item of an id; none for what belongs to another crate.
fn look_up<'a>(index: &'a Value, id: &Value) -> Option<&'a Value> {
    let key = id.as_u64().map_or_else(|| text(id).to_owned(), |number| number.to_string());
    index.get(key)
}

impl<'a> Walk<'a> {
    fn module(&mut self, module: &'a Value, path: &str) -> Result<()> {
        for id in list(&module["items"]) {
            if let Some(item) = look_up(self.index, id)
                .filter(|item| item["visibility"] == "public" || item["inner"].get("impl").is_some())
            {
                self.named(item, path, text(&item["name"]))?;
            }
        }
        Ok(())
    }

    /// An item under a name, which a re-export may have changed.
    fn named(&mut self, item: &'a Value, path: &str, name: &str) -> Result<()> {
        let (kind, inner) = only(&item["inner"]).ok_or("an item without a kind")?;
        let full = format!("{path}::{name}");
        match kind {
            "module" => {
                self.lines.insert(format!("mod {full}"));
                self.module(inner, &full)?;
            }
            "use" => self.reexport(inner, path)?,
            "function" => {
                let line = function(inner, &full)?;
                self.lines.insert(line);
            }
            "struct" => {
                self.lines.insert(format!("struct {full}{}{}", parameters(&inner["generics"])?, exhaustive(item)));
                let fields = match only(&inner["kind"]) {
                    Some(("plain", plain)) => list(&plain["fields"]),
                    Some(("tuple", fields)) => list(fields),
                    _ => &[],
                };
                self.fields(fields, &full)?;
                self.implementations(&inner["impls"], &full)?;
            }
            "enum" => {
                self.lines.insert(format!("enum {full}{}{}", parameters(&inner["generics"])?, exhaustive(item)));
                for id in list(&inner["variants"]) {
                    let Some(variant) = look_up(self.index, id) else { continue };
                    let own = format!("{full}::{}", text(&variant["name"]));
                    self.lines.insert(format!("variant {own}{}", exhaustive(variant)));
                    match only(&variant["inner"]["variant"]["kind"]) {
                        Some(("tuple", fields)) => self.fields(list(fields), &own)?,
                        Some(("struct", fields)) => self.fields(list(&fields["fields"]), &own)?,
                        _ => {}
                    }
                }
                self.implementations(&inner["impls"], &full)?;
            }
            "trait" => {
                let bounds = bounds(&inner["bounds"])?;
                let bounds = if bounds.is_empty() { bounds } else { format!(": {bounds}") };
                self.lines.insert(format!("trait {full}{}{bounds}", parameters(&inner["generics"])?));
                for id in list(&inner["items"]) {
                    if let Some(item) = look_up(self.index, id) {
                        self.associated(item, &full)?;
                    }
                }
            }
            "constant" => {
                self.lines.insert(format!("const {full}: {}", kind_of(&inner["type"])?));
            }
            "static" => {
                self.lines.insert(format!("static {full}: {}", kind_of(&inner["type"])?));
            }
            "type_alias" => {
                self.lines.insert(format!(
                    "type {full}{} = {}",
                    parameters(&inner["generics"])?,
                    kind_of(&inner["type"])?
                ));
            }
            "macro" => {
                self.lines.insert(format!("macro {full}!"));
            }
            // Those of a type are listed with it.
            "impl" => {}
            other => return Err(format!("{full}: an item of the unknown kind {other:?}")),
        }
        Ok(())
    }

    /// What is re-exported stands under its new name; what comes from another crate is named alone.
    fn reexport(&mut self, inner: &'a Value, path: &str) -> Result<()> {
        let name = text(&inner["name"]);
        match look_up(self.index, &inner["id"]) {
            Some(item) if inner["is_glob"] == true => match only(&item["inner"]) {
                Some(("module", module)) => self.module(module, path),
                _ => self.named(item, path, name),
            },
            Some(item) => self.named(item, path, name),
            None => {
                self.lines.insert(format!("use {path}::{name} = {}", text(&inner["source"])));
                Ok(())
            }
        }
    }

    fn fields(&mut self, ids: &'a [Value], path: &str) -> Result<()> {
        let index = self.index;
        for field in ids.iter().filter_map(|id| look_up(index, id)) {
            // Fields of variants are as public as their enum.
            if field["visibility"] == "public" || field["visibility"] == "default" {
                let line =
                    format!("field {path}::{}: {}", text(&field["name"]), kind_of(&field["inner"]["struct_field"])?);
                self.lines.insert(line);
            }
        }
        Ok(())
    }

    /// The functions of a type, and the traits that it was given; not those that the compiler finds by itself.
    fn implementations(&mut self, ids: &'a Value, path: &str) -> Result<()> {
        let index = self.index;
        for block in list(ids).iter().filter_map(|id| look_up(index, id)) {
            let block = &block["inner"]["impl"];
            if block["is_synthetic"] == true || !block["blanket_impl"].is_null() {
                continue;
            }
            if block["trait"].is_null() {
                for item in list(&block["items"]).iter().filter_map(|id| look_up(index, id)) {
                    if item["visibility"] == "public" {
                        self.associated(item, path)?;
                    }
                }
            } else {
                let negative = if block["is_negative"] == true { "!" } else { "" };
                let line = format!(
                    "impl{} {negative}{} for {path}",
                    parameters(&block["generics"])?,
                    path_of(&block["trait"])?
                );
                self.lines.insert(line);
            }
        }
        Ok(())
    }

    fn associated(&mut self, item: &'a Value, path: &str) -> Result<()> {
        let full = format!("{path}::{}", text(&item["name"]));
        let line = match only(&item["inner"]) {
            Some(("function", inner)) => function(inner, &full)?,
            Some(("assoc_const", inner)) => format!("const {full}: {}", kind_of(&inner["type"])?),
            Some(("assoc_type", inner)) => format!("type {full}: {}", bounds(&inner["bounds"])?),
            other => return Err(format!("{full}: an associated item of the unknown kind {other:?}")),
        };
        self.lines.insert(line);
        Ok(())
    }
}

/// Programs may have to allow for what is added later.
fn exhaustive(item: &Value) -> &'static str {
    let attributes = item["attrs"].to_string();
    if attributes.contains("non_exhaustive") { " (non_exhaustive)" } else { "" }
}

fn function(inner: &Value, full: &str) -> Result<String> {
    let signature = &inner["sig"];
    let inputs = list(&signature["inputs"])
        .iter()
        .map(|input| Ok(format!("{}: {}", text(&input[0]), kind_of(&input[1])?)))
        .collect::<Result<Vec<_>>>()?;
    let output = match &signature["output"] {
        Value::Null => String::new(),
        output => format!(" -> {}", kind_of(output)?),
    };
    let word = |key: &str, word: &'static str| if inner["header"][key] == true { word } else { "" };
    let (constant, asynchronous, unsafe_) =
        (word("is_const", "const "), word("is_async", "async "), word("is_unsafe", "unsafe "));
    let generics = &inner["generics"];
    Ok(format!(
        "{constant}{asynchronous}{unsafe_}fn {full}{}({}){output}{}",
        parameters(generics)?,
        inputs.join(", "),
        conditions(generics)?
    ))
}

/// `<'a, T: Clone, const N: usize>`; parameters that stand for `impl Trait` are written where they are used.
fn parameters(generics: &Value) -> Result<String> {
    let mut written = Vec::new();
    for parameter in list(&generics["params"]) {
        let name = text(&parameter["name"]);
        match only(&parameter["kind"]) {
            Some(("lifetime", _)) => written.push(name.to_owned()),
            Some(("const", kind)) => written.push(format!("const {name}: {}", kind_of(&kind["type"])?)),
            Some(("type", kind)) if kind["is_synthetic"] == true => {}
            Some(("type", kind)) => {
                let bounds = bounds(&kind["bounds"])?;
                written.push(if bounds.is_empty() { name.to_owned() } else { format!("{name}: {bounds}") });
            }
            other => return Err(format!("a parameter of the unknown kind {other:?}")),
        }
    }
    Ok(if written.is_empty() { String::new() } else { format!("<{}>", written.join(", ")) })
}

fn conditions(generics: &Value) -> Result<String> {
    let mut written = Vec::new();
    for condition in list(&generics["where_predicates"]) {
        match only(condition) {
            Some(("bound_predicate", bound)) => {
                written.push(format!("{}: {}", kind_of(&bound["type"])?, bounds(&bound["bounds"])?))
            }
            Some(("lifetime_predicate", bound)) => {
                let outlived: Vec<&str> = list(&bound["outlives"]).iter().map(text).collect();
                written.push(format!("{}: {}", text(&bound["lifetime"]), outlived.join(" + ")));
            }
            Some(("eq_predicate", equal)) => {
                written.push(format!("{} == {}", kind_of(&equal["lhs"])?, term(&equal["rhs"])?))
            }
            other => return Err(format!("a condition of the unknown kind {other:?}")),
        }
    }
    Ok(if written.is_empty() { String::new() } else { format!(" where {}", written.join(", ")) })
}

fn bounds(value: &Value) -> Result<String> {
    let written = list(value).iter().map(|bound| match only(bound) {
        Some(("trait_bound", bound)) => {
            let maybe = if bound["modifier"] == "maybe" { "?" } else { "" };
            Ok(format!("{maybe}{}", path_of(&bound["trait"])?))
        }
        Some(("outlives", lifetime)) => Ok(text(lifetime).to_owned()),
        Some(("use", _)) => Ok("use<..>".to_owned()),
        other => Err(format!("a bound of the unknown kind {other:?}")),
    });
    Ok(written.collect::<Result<Vec<_>>>()?.join(" + "))
}

/// The last word of a path with its arguments: where an item comes from is rustdoc's guess and no part of the interface.
fn path_of(path: &Value) -> Result<String> {
    let name = text(&path["path"]).rsplit("::").next().unwrap_or_default().to_owned();
    Ok(name + &arguments(&path["args"])?)
}

fn arguments(value: &Value) -> Result<String> {
    match only(value) {
        None => Ok(String::new()),
        Some(("angle_bracketed", inside)) => {
            let mut written = Vec::new();
            for argument in list(&inside["args"]) {
                written.push(match only(argument) {
                    Some(("lifetime", name)) => text(name).to_owned(),
                    Some(("type", kind)) => kind_of(kind)?,
                    Some(("const", value)) => text(&value["expr"]).to_owned(),
                    Some(("infer", _)) => "_".to_owned(),
                    other => return Err(format!("an argument of the unknown kind {other:?}")),
                });
            }
            for constraint in list(&inside["constraints"]) {
                let name = text(&constraint["name"]);
                written.push(match only(&constraint["binding"]) {
                    Some(("equality", equal)) => format!("{name} = {}", term(equal)?),
                    Some(("constraint", given)) => format!("{name}: {}", bounds(given)?),
                    other => return Err(format!("a binding of the unknown kind {other:?}")),
                });
            }
            Ok(if written.is_empty() { String::new() } else { format!("<{}>", written.join(", ")) })
        }
        Some(("parenthesized", inside)) => {
            let inputs = kinds(&inside["inputs"])?;
            let output =
                if inside["output"].is_null() { String::new() } else { format!(" -> {}", kind_of(&inside["output"])?) };
            Ok(format!("({inputs}){output}"))
        }
        Some((other, _)) => Err(format!("arguments of the unknown kind {other:?}")),
    }
}

fn term(value: &Value) -> Result<String> {
    match only(value) {
        Some(("type", kind)) => kind_of(kind),
        Some(("constant", value)) => Ok(text(&value["expr"]).to_owned()),
        other => Err(format!("a term of the unknown kind {other:?}")),
    }
}

fn kinds(value: &Value) -> Result<String> {
    Ok(list(value).iter().map(kind_of).collect::<Result<Vec<_>>>()?.join(", "))
}

fn kind_of(value: &Value) -> Result<String> {
    let (kind, inner) = only(value).ok_or_else(|| format!("a type that is none: {value}"))?;
    Ok(match kind {
        "primitive" | "generic" => text(inner).to_owned(),
        "resolved_path" => path_of(inner)?,
        "tuple" => format!("({})", kinds(inner)?),
        "slice" => format!("[{}]", kind_of(inner)?),
        "array" => format!("[{}; {}]", kind_of(&inner["type"])?, text(&inner["len"])),
        "borrowed_ref" => {
            let lifetime = inner["lifetime"].as_str().map_or_else(String::new, |name| format!("{name} "));
            let mutable = if inner["is_mutable"] == true { "mut " } else { "" };
            format!("&{lifetime}{mutable}{}", kind_of(&inner["type"])?)
        }
        "raw_pointer" => {
            let mutable = if inner["is_mutable"] == true { "mut" } else { "const" };
            format!("*{mutable} {}", kind_of(&inner["type"])?)
        }
        "impl_trait" => format!("impl {}", bounds(inner)?),
        "dyn_trait" => {
            let traits =
                list(&inner["traits"]).iter().map(|bound| path_of(&bound["trait"])).collect::<Result<Vec<_>>>()?;
            let lifetime = inner["lifetime"].as_str().map_or_else(String::new, |name| format!(" + {name}"));
            format!("dyn {}{lifetime}", traits.join(" + "))
        }
        "function_pointer" => {
            let signature = &inner["sig"];
            let inputs =
                list(&signature["inputs"]).iter().map(|input| kind_of(&input[1])).collect::<Result<Vec<_>>>()?;
            let output = if signature["output"].is_null() {
                String::new()
            } else {
                format!(" -> {}", kind_of(&signature["output"])?)
            };
            format!("fn({}){output}", inputs.join(", "))
        }
        "qualified_path" => {
            let own = kind_of(&inner["self_type"])?;
            let own = if inner["trait"].is_null() { own } else { format!("<{own} as {}>", path_of(&inner["trait"])?) };
            format!("{own}::{}{}", text(&inner["name"]), arguments(&inner["args"])?)
        }
        "infer" => "_".to_owned(),
        other => return Err(format!("a type of the unknown kind {other:?}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_item_is_a_line_and_what_is_private_is_none() {
        let number = json!({ "primitive": "u8" });
        let function = |visibility: &str, name: &str| {
            json!({ "name": name, "visibility": visibility, "inner": { "function": {
                "sig": { "inputs": [["x", { "borrowed_ref": { "lifetime": null, "is_mutable": true, "type": { "slice": number } } }]],
                         "output": { "resolved_path": { "path": "a::b::Thing", "id": 9, "args": null } } },
                "generics": { "params": [], "where_predicates": [] }, "header": { "is_const": true } } } })
        };
        let described = json!({ "format_version": 57, "root": 0, "index": {
            "0": { "name": "demo", "visibility": "public", "inner": { "module": { "items": [1, 2, 3] } } },
            "1": function("public", "shown"),
            "2": function("crate", "hidden"),
            "3": { "name": null, "visibility": "public", "inner": { "use": { "name": "other", "source": "far::other", "id": null, "is_glob": false } } },
        } });
        assert_eq!(
            items(&described).expect("items"),
            ["const fn demo::shown(x: &mut [u8]) -> Thing", "use demo::other = far::other"]
        );
    }

    #[test]
    fn what_is_not_known_is_an_error_and_not_left_out() {
        assert!(kind_of(&json!({ "hologram": {} })).unwrap_err().contains("hologram"));
        assert!(items(&json!({ "format_version": 3 })).unwrap_err().contains("found 3"));
    }
}
