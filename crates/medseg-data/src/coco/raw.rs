//! A COCO file as annotation tools write it: ids that are numbers or text, sizes that are whole numbers or `512.0`, and words
//! that are no JSON, such as `NaN`.

use super::{Region, Shape, polygon, run_lengths};
use serde::Deserialize;
use serde_json::Value;

/// The parts of a file that are read.
#[derive(Deserialize)]
pub(super) struct RawFile {
    pub(super) images: Vec<Value>,
    pub(super) annotations: Vec<Value>,
    #[serde(default)]
    pub(super) categories: Vec<Value>,
}

/// Parses a file. Where it is no JSON only because of numbers that are not finite, these become text, so that they are found
/// where they stand.
pub(super) fn parse(text: &str) -> Result<RawFile, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| {
        let quoted = quote_numbers_that_are_not_finite(text);
        if quoted == text { Err(error) } else { serde_json::from_str(&quoted) }
    })
}

/// `NaN`, `-Infinity`, `1e999` outside of strings become `"NaN"`, `"-Infinity"`, `"1e999"`.
fn quote_numbers_that_are_not_finite(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let mut quoted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => end_of_string(rest),
            first if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        let (token, tail) = rest.split_at(end);
        // Rust's numbers include `NaN`, `inf` and `Infinity`, with a sign and in capitals or not.
        if is_word(first) && token.parse::<f64>().is_ok_and(|number| !number.is_finite()) {
            quoted.push_str(&format!("\"{token}\""));
        } else {
            quoted.push_str(token);
        }
        rest = tail;
    }
    quoted
}

/// Where a JSON string that starts the text ends.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return place + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// An id as text: `7`, `7.0` and `"7"` are the same.
pub(super) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => match number.as_f64() {
            _ if !number.is_f64() => Some(number.to_string()),
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => Some(format!("{float:.0}")),
            _ => None,
        },
        _ => None,
    }
}

/// A whole number, also as `512.0`.
pub(super) fn whole(value: &Value) -> Option<u64> {
    let float = value.as_f64()?;
    let whole = float.fract() == 0.0 && (0.0..9e15).contains(&float);
    value.as_u64().or(whole.then_some(float as u64))
}

/// A value as it stands in the file, without the quotation marks of text.
pub(super) fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() > MOST { format!("{}...", text.chars().take(MOST).collect::<String>()) } else { text }
}

/// The regions of one `segmentation`: a list of polygons, run lengths, or a list of both.
///
/// # Errors
/// The first value that cannot be read, by its place in the file.
pub(super) fn regions(
    segmentation: &Value,
    category: &str,
    width: usize,
    height: usize,
) -> Result<Vec<Region>, String> {
    let region = |shape| Region { category: category.to_owned(), shape };
    match segmentation {
        Value::Object(_) => Ok(vec![region(runs(segmentation, "segmentation", width, height)?)]),
        Value::Array(list) if !list.is_empty() => list
            .iter()
            .enumerate()
            .map(|(number, item)| {
                let place = format!("segmentation[{number}]");
                let shape = match item {
                    Value::Array(numbers) => points(numbers, &place, width, height)?,
                    _ => runs(item, &place, width, height)?,
                };
                Ok(region(shape))
            })
            .collect(),
        other => Err(format!("expected segmentation to be a list of polygons or run lengths, found {}", shown(other))),
    }
}

fn points(numbers: &[Value], place: &str, width: usize, height: usize) -> Result<Shape, String> {
    let mut flat = Vec::with_capacity(numbers.len());
    for (index, value) in numbers.iter().enumerate() {
        let number = value.as_f64().filter(|number| number.is_finite());
        flat.push(number.ok_or_else(|| format!("{place}[{index}]: expected a finite number, found {}", shown(value)))?);
    }
    polygon::check(&flat, width, height).map(Shape::Polygon).map_err(|reason| format!("{place}: {reason}"))
}

fn runs(value: &Value, place: &str, width: usize, height: usize) -> Result<Shape, String> {
    let fail = |reason: String| format!("{place}: {reason}");
    let (Some(counts), Some(size)) = (value.get("counts"), value.get("size")) else {
        return Err(fail(format!("expected a polygon, or run lengths with counts and size, found {}", shown(value))));
    };
    let sides: Option<Vec<u64>> = size.as_array().and_then(|sides| sides.iter().map(whole).collect());
    if sides.as_deref() != Some(&[height as u64, width as u64]) {
        return Err(fail(format!("expected size to be the image's [{height}, {width}], found {}", shown(size))));
    }
    let runs = match counts {
        Value::String(text) => run_lengths::decompress(text).map_err(fail)?,
        Value::Array(list) => {
            let run = |(index, value): (usize, &Value)| {
                let run = whole(value).and_then(|run| u32::try_from(run).ok());
                run.ok_or_else(|| {
                    fail(format!("counts[{index}]: expected a whole number of pixels, found {}", shown(value)))
                })
            };
            list.iter().enumerate().map(run).collect::<Result<_, _>>()?
        }
        other => return Err(fail(format!("expected counts to be a list or text, found {}", shown(other)))),
    };
    run_lengths::check(&runs, width, height).map_err(fail)?;
    Ok(Shape::RunLengths(runs))
}

#[cfg(test)]
mod tests {
    use super::quote_numbers_that_are_not_finite as quote;

    #[test]
    fn only_numbers_that_are_not_finite_are_quoted() {
        for (text, expected) in [
            (r#"{"a":[NaN, -Infinity,1e999]}"#, r#"{"a":["NaN", "-Infinity","1e999"]}"#),
            (r#"{"NaN":"NaN \" Infinity","b":-1.5e3}"#, r#"{"NaN":"NaN \" Infinity","b":-1.5e3}"#),
            (r#"["\\",NaN,null,true]"#, r#"["\\","NaN",null,true]"#),
            (r#"["é", nan, inf"#, r#"["é", "nan", "inf""#),
        ] {
            assert_eq!(quote(text), expected);
        }
    }
}
