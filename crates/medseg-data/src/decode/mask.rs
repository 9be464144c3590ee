//! Masks, judged by the file's own values: what is foreground, and whether that can be told at all.

use super::raw::{Raw, Samples, each_depth};
use crate::error::{DataError, Result};
use medseg_metrics::Mask;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// What counts as foreground in a mask file.
///
/// Files are judged in their own values, whatever their bit depth and channels. Colours whose channels are equal are grey
/// values; other colours are values of their own. A palette counts by its colours. Transparent pixels are background.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum MaskRule {
    /// 0 is background, the one other value is foreground. More values, or one value that is not 0, are an error. In a JPEG,
    /// whose values are blurred, pixels of 64 to 191 may be at most 3 % of those above; then 128 and more are foreground (at
    /// quality 50, vessel masks have 1.5 % of such pixels and no wrong one; at quality 30, 12 % and a few wrong ones).
    #[default]
    Automatic,
    /// Values of at least this are foreground, in the units of the file: 128 halves 8 bits, 32768 halves 16, 0.5 halves floats.
    Threshold(f64),
    /// Values chosen by name.
    Labels(Labels),
    /// Everything but 0 is foreground, soft edges too, as in the released code of the paper, where it thickens vessels. Label
    /// maps are an error here as well: few small values, or values in between that fill areas.
    AnyPositive,
}

/// Which values of a label map are what.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Labels {
    /// These are foreground; when there are none, the rest is judged as by [`MaskRule::Automatic`].
    pub foreground: Vec<Label>,
    /// These are background. A file without any foreground label is an error unless all its values are 0, ignored or listed
    /// here; beside foreground, unlisted values are background.
    pub background: Vec<Label>,
    /// Pixels of these values count neither in the loss nor in a metric.
    pub ignore: Vec<Label>,
}

/// A value of a label map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "LabelText", into = "LabelText")]
pub enum Label {
    /// A grey value.
    Value(i64),
    /// A colour of 8 bits: red, green, blue.
    Colour([u8; 3]),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum LabelText {
    Value(i64),
    Text(String),
}

impl TryFrom<LabelText> for Label {
    type Error = String;

    fn try_from(text: LabelText) -> Result<Self, String> {
        match text {
            LabelText::Value(value) => Ok(Self::Value(value)),
            LabelText::Text(text) => text.parse(),
        }
    }
}

impl From<Label> for LabelText {
    fn from(label: Label) -> Self {
        match label {
            Label::Value(value) => Self::Value(value),
            colour @ Label::Colour(_) => Self::Text(colour.to_string()),
        }
    }
}

impl std::str::FromStr for Label {
    type Err = String;

    /// A whole number, or a colour such as `#ff0000`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a whole number or a colour such as #ff0000, found {text}");
        match text.trim().strip_prefix('#') {
            None => text.trim().parse().map(Self::Value).map_err(|_| wrong()),
            Some(digits) if digits.len() == 6 && digits.is_ascii() => {
                let channel = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong());
                Ok(Self::Colour([channel(0)?, channel(2)?, channel(4)?]))
            }
            Some(_) => Err(wrong()),
        }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Colour([r, g, b]) => write!(f, "#{r:02x}{g:02x}{b:02x}"),
        }
    }
}

/// How mask files are read: what is foreground, and whether a mask may have none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MaskPolicy {
    /// What counts as foreground.
    pub rule: MaskRule,
    /// Whether a mask whose every value is 0 is accepted. A mask whose values the rule would drop is an error in any case.
    pub allow_empty: bool,
}

impl MaskRule {
    /// Checks every value.
    ///
    /// # Errors
    /// [`DataError::Config`] for a threshold that is no number above 0, or a label with two meanings.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Threshold(threshold) if !(threshold.is_finite() && *threshold > 0.0) => {
                Err(DataError::config("threshold", "a number above 0", threshold))
            }
            Self::Labels(labels) => labels.validate(),
            _ => Ok(()),
        }
    }
}

impl Labels {
    fn validate(&self) -> Result<()> {
        let all: Vec<&Label> = self.foreground.iter().chain(&self.background).chain(&self.ignore).collect();
        match all.iter().enumerate().find(|(at, label)| all[..*at].contains(label)) {
            Some((_, twice)) => Err(DataError::config("foreground, background, ignore", "every label once", twice)),
            None => Ok(()),
        }
    }
}

/// A decoded mask file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedMask {
    /// Foreground; never an ignored pixel.
    pub mask: Mask,
    /// Pixels that count neither in the loss nor in a metric; `None` where there are none.
    pub ignored: Option<Mask>,
}

/// The values of a mask file with their shares, most frequent first.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueShares {
    /// Up to eight values in words with their shares of the pixels, 0 to 1.
    pub shown: Vec<(String, f64)>,
    /// How many more values there are.
    pub more: usize,
}

impl std::fmt::Display for ValueShares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (value, share)) in self.shown.iter().enumerate() {
            write!(f, "{}{value} ({:.2} %)", if at > 0 { ", " } else { "" }, share * 100.0)?;
        }
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        Ok(())
    }
}

/// A value of a mask: a grey value or a colour, in the units of the file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Grey(f64),
    Colour([f64; 3]),
}

impl Value {
    fn is_zero(&self) -> bool {
        match self {
            Self::Grey(value) => *value == 0.0,
            Self::Colour(channels) => *channels == [0.0; 3],
        }
    }

    /// Whether a label means this value; `white` is that of the file.
    fn is(&self, label: &Label, white: f64) -> bool {
        match (self, label) {
            (Self::Grey(value), Label::Value(label)) => *value == *label as f64,
            (Self::Grey(value), Label::Colour(label)) => label.iter().all(|&c| f64::from(c) * white / 255.0 == *value),
            (Self::Colour(value), Label::Colour(label)) => {
                value.iter().zip(label).all(|(&value, &label)| f64::from(label) * white / 255.0 == value)
            }
            (Self::Colour(_), Label::Value(_)) => false,
        }
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let key = |value: &Self| match value {
            Self::Grey(value) => [*value, 0.0, 0.0],
            Self::Colour(channels) => *channels,
        };
        let (a, b) = (key(self), key(other));
        a.iter().zip(&b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    }

    fn in_words(&self, white: f64) -> String {
        match self {
            Self::Grey(value) => value.to_string(),
            Self::Colour(channels) => {
                let bytes = channels.map(|c| c * 255.0 / white);
                match bytes.iter().all(|v| v.fract() == 0.0 && (0.0..256.0).contains(v)) {
                    true => Label::Colour(bytes.map(|v| v as u8)).to_string(),
                    false => format!("({}, {}, {})", channels[0], channels[1], channels[2]),
                }
            }
        }
    }
}

/// One kind of pixel of a file.
#[derive(Debug, Clone, Copy)]
struct Kind {
    colours: [f64; 3],
    alpha: f64,
    count: usize,
}

/// A file as numbers of its kinds of pixels: few kinds, many pixels.
struct Coded {
    kinds: Vec<Kind>,
    codes: Vec<u32>,
}

/// Numbers the kinds of pixels in the order in which they appear.
fn code<T: Copy + PartialEq + Into<f64>>(values: &[T], colours: usize, alpha: bool, white: f64) -> Coded {
    let channels = colours + usize::from(alpha);
    let mut coded = Coded { kinds: Vec::new(), codes: Vec::with_capacity(values.len() / channels) };
    let mut known: HashMap<[u64; 4], u32> = HashMap::new();
    // Masks come in long runs: the last pixel's kind is nearly always the next one's.
    let mut last: Option<(&[T], u32)> = None;
    for pixel in values.chunks_exact(channels) {
        let code = match last {
            Some((same, code)) if same[0] == pixel[0] && same[1..] == pixel[1..] => code,
            _ => {
                let mut whole = [0.0, 0.0, 0.0, white];
                whole.iter_mut().zip(&pixel[..colours]).for_each(|(all, &value)| *all = value.into());
                if alpha {
                    whole[3] = pixel[colours].into();
                }
                *known.entry(whole.map(|v| (v + 0.0).to_bits())).or_insert_with(|| {
                    let colours = if colours == 1 { [whole[0]; 3] } else { [whole[0], whole[1], whole[2]] };
                    coded.kinds.push(Kind { colours, alpha: whole[3], count: 0 });
                    coded.kinds.len() as u32 - 1
                })
            }
        };
        coded.codes.push(code);
        last = Some((pixel, code));
    }
    for &code in &coded.codes {
        coded.kinds[code as usize].count += 1;
    }
    coded
}

/// [`code`] for grey bytes, which most masks are: by table.
fn code_bytes(values: &[u8], white: f64) -> Coded {
    let mut counts = [0usize; 256];
    values.iter().for_each(|&value| counts[usize::from(value)] += 1);
    let (mut kinds, mut table) = (Vec::new(), [0u32; 256]);
    for (value, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        table[value] = kinds.len() as u32;
        kinds.push(Kind { colours: [value as f64; 3], alpha: white, count });
    }
    Coded { kinds, codes: values.iter().map(|&value| table[usize::from(value)]).collect() }
}

/// Largest difference between the channels of a JPEG that is grey in truth, of 255.
const CHROMA_NOISE: f64 = 16.0;

/// The value that each kind of pixel stands for.
fn values(kinds: &[Kind], white: f64, lossy: bool) -> Result<Vec<Value>, String> {
    if kinds.iter().any(|kind| kind.colours.iter().chain([&kind.alpha]).any(|value| !value.is_finite())) {
        return Err("expected numbers, found a value that is not finite".into());
    }
    let opaque = grey_or_colour(kinds, lossy);
    if kinds.iter().all(|kind| kind.alpha == white) {
        return Ok(opaque);
    }
    let (visible, hidden): (Vec<&Kind>, Vec<&Kind>) = kinds.iter().partition(|kind| kind.alpha > 0.0);
    let colours = |kinds: &[&Kind]| {
        let mut found: Vec<[f64; 3]> = kinds.iter().map(|kind| kind.colours).collect();
        found.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        found.dedup();
        found
    };
    let (shown, below) = (colours(&visible), colours(&hidden));
    if below.len() > 1 {
        let count = below.len();
        return Err(format!("fully transparent pixels hide {count} colours; save the mask without transparency"));
    }
    if shown.is_empty() {
        // A transparent canvas on which nothing was drawn.
        return Ok(vec![Value::Grey(0.0); kinds.len()]);
    }
    if shown.len() == 1 {
        // Ink of one colour: the opacity is the mask.
        return Ok(kinds.iter().map(|kind| Value::Grey(kind.alpha)).collect());
    }
    let first = visible[0].alpha;
    if visible.iter().any(|kind| kind.alpha != first) {
        return Err("colours and opacities both vary; save the mask without transparency".into());
    }
    let transparent = |(kind, value): (&Kind, Value)| if kind.alpha > 0.0 { value } else { Value::Grey(0.0) };
    Ok(kinds.iter().zip(opaque).map(transparent).collect())
}

fn grey_or_colour(kinds: &[Kind], lossy: bool) -> Vec<Value> {
    let spread = |c: &[f64; 3]| c[0].max(c[1]).max(c[2]) - c[0].min(c[1]).min(c[2]);
    let noise = if lossy { CHROMA_NOISE } else { 0.0 };
    // One true colour makes all of them colours: black and red are two values of one kind.
    let visible = |kind: &&Kind| kind.alpha > 0.0;
    if kinds.iter().filter(visible).all(|kind| spread(&kind.colours) <= noise) {
        let luma = |[r, g, b]: [f64; 3]| if r == g && g == b { r } else { (0.299 * r + 0.587 * g + 0.114 * b).round() };
        return kinds.iter().map(|kind| Value::Grey(luma(kind.colours))).collect();
    }
    let one = |kind: &Kind| if kind.colours == [0.0; 3] { Value::Grey(0.0) } else { Value::Colour(kind.colours) };
    kinds.iter().map(one).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Background,
    Foreground,
    Ignored,
}

/// Different values with the number of their pixels, in ascending order.
struct Census {
    entries: Vec<(Value, usize)>,
    pixels: usize,
    white: f64,
    lossy: bool,
}

impl Census {
    fn shares(&self) -> ValueShares {
        let mut entries = self.entries.clone();
        entries.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.order(&b.0)));
        let share = |&(value, count): &(Value, usize)| (value.in_words(self.white), count as f64 / self.pixels as f64);
        ValueShares { shown: entries.iter().take(8).map(share).collect(), more: entries.len().saturating_sub(8) }
    }

    fn has_content(&self) -> bool {
        self.entries.iter().any(|(value, _)| !value.is_zero())
    }
}

/// Why a file is not a mask.
enum Refusal {
    ManyValues,
    Unclear(String),
}

/// The class of every value of the census.
fn classify(census: &Census, rule: &MaskRule, soft: impl FnOnce(f64) -> bool) -> Result<Vec<Class>, Refusal> {
    let values: Vec<Value> = census.entries.iter().map(|entry| entry.0).collect();
    let by = |foreground: &dyn Fn(&Value) -> bool| {
        values.iter().map(|v| if foreground(v) { Class::Foreground } else { Class::Background }).collect::<Vec<_>>()
    };
    let dropped = |classes: &[Class]| !classes.contains(&Class::Foreground) && census.has_content();
    match rule {
        MaskRule::Automatic => automatic(census, &Labels::default()),
        MaskRule::Labels(labels) if labels.foreground.is_empty() => automatic(census, labels),
        MaskRule::Labels(labels) => chosen(census, labels),
        MaskRule::Threshold(threshold) => {
            if values.iter().any(|value| matches!(value, Value::Colour(_))) {
                return Err(Refusal::Unclear("a threshold needs grey values, found colours".into()));
            }
            let classes = by(&|value| matches!(value, Value::Grey(grey) if grey >= threshold));
            if dropped(&classes) {
                let found = census.shares();
                return Err(Refusal::Unclear(format!("no value reaches the threshold of {threshold}, found {found}")));
            }
            Ok(classes)
        }
        MaskRule::AnyPositive => {
            let mut largest: f64 = 0.0;
            for value in &values {
                let Value::Grey(grey) = value else { return automatic(census, &Labels::default()) };
                largest = largest.max(*grey);
            }
            let positive = values.iter().filter(|value| !value.is_zero()).count();
            if positive > 1 && (largest < census.white / 4.0 || !soft(largest)) {
                return Err(Refusal::ManyValues);
            }
            Ok(by(&|value| matches!(value, Value::Grey(grey) if *grey > 0.0)))
        }
    }
}

/// Two values, of which one is 0, after what is ignored has been set apart.
fn automatic(census: &Census, labels: &Labels) -> Result<Vec<Class>, Refusal> {
    let named = |value: &Value, list: &[Label]| list.iter().any(|label| value.is(label, census.white));
    let class = |value: &Value| match () {
        () if named(value, &labels.ignore) => Class::Ignored,
        () if value.is_zero() || named(value, &labels.background) => Class::Background,
        () => Class::Foreground,
    };
    let classes: Vec<Class> = census.entries.iter().map(|(value, _)| class(value)).collect();
    let count = |class: Class| classes.iter().filter(|&&c| c == class).count();
    match count(Class::Foreground) {
        0 => Ok(classes),
        1 if count(Class::Background) > 0 && !(census.lossy && is_dim(census)) => Ok(classes),
        _ if census.lossy && labels.ignore.is_empty() && labels.background.is_empty() => blurred(census),
        1 => Err(Refusal::Unclear(format!(
            "there is no background, every value is {}: its foreground cannot be told",
            census.shares()
        ))),
        _ => Err(Refusal::ManyValues),
    }
}

/// Whether no value is bright: blur has changed such values by as much as they are.
fn is_dim(census: &Census) -> bool {
    !census.entries.iter().any(|(value, _)| matches!(value, Value::Grey(grey) if *grey >= census.white * 3.0 / 4.0))
}

/// A JPEG's 0 and 255: hardly any pixel lies between.
fn blurred(census: &Census) -> Result<Vec<Class>, Refusal> {
    let (low, high) = (census.white / 4.0, census.white * 3.0 / 4.0);
    let (mut dark, mut between, mut bright) = (0, 0, 0);
    for (value, count) in &census.entries {
        let Value::Grey(grey) = value else { return Err(Refusal::ManyValues) };
        match () {
            () if *grey <= low => dark += count,
            () if *grey >= high => bright += count,
            () => between += count,
        }
    }
    if dark == 0 {
        let found = census.shares();
        return Err(Refusal::Unclear(format!("there is no background, found {found}: its foreground cannot be told")));
    }
    if bright == 0 {
        let found = census.shares();
        return Err(Refusal::Unclear(format!(
            "JPEG blurs values as low as these, found {found}; save the mask as PNG"
        )));
    }
    if between * 100 > bright * 3 {
        return Err(Refusal::ManyValues);
    }
    let half = census.white / 2.0;
    let bright = |value: &Value| matches!(value, Value::Grey(grey) if *grey > half);
    Ok(census.entries.iter().map(|(v, _)| if bright(v) { Class::Foreground } else { Class::Background }).collect())
}

/// Foreground, background and ignored values by name.
fn chosen(census: &Census, labels: &Labels) -> Result<Vec<Class>, Refusal> {
    if census.lossy {
        return Err(Refusal::Unclear("JPEG blurs the values of labels; save the label map as PNG".into()));
    }
    let named = |value: &Value, list: &[Label]| list.iter().any(|label| value.is(label, census.white));
    let mut unknown = false;
    let classes: Vec<Class> = census
        .entries
        .iter()
        .map(|(value, _)| match () {
            () if named(value, &labels.foreground) => Class::Foreground,
            () if named(value, &labels.ignore) => Class::Ignored,
            () => {
                unknown |= !value.is_zero() && !named(value, &labels.background);
                Class::Background
            }
        })
        .collect();
    if unknown && !classes.contains(&Class::Foreground) {
        return Err(Refusal::Unclear(format!(
            "no value is one of the chosen foreground, found {}; name what is background too (--background, or background = \
             [...] under [data.options])",
            census.shares()
        )));
    }
    Ok(classes)
}

/// Judges a decoded file: the one way from files to masks.
pub(super) fn judge(path: &Path, raw: &Raw, policy: &MaskPolicy) -> Result<DecodedMask> {
    policy.rule.validate()?;
    let unclear = |reason: String| DataError::UnclearMask { path: path.to_owned(), reason };
    let coded = match &raw.samples {
        Samples::U8(values) if raw.channels() == 1 => code_bytes(values, raw.white),
        samples => each_depth!(samples, values => code(values, raw.colours, raw.alpha, raw.white)),
    };
    let values = values(&coded.kinds, raw.white, raw.lossy).map_err(unclear)?;
    let mut counts: BTreeMap<[u64; 4], (Value, usize)> = BTreeMap::new();
    let key = |value: &Value| match value {
        Value::Grey(grey) => [0, (grey + 0.0).to_bits(), 0, 0],
        Value::Colour(c) => [1, c[0].to_bits(), c[1].to_bits(), c[2].to_bits()],
    };
    for (kind, value) in coded.kinds.iter().zip(&values) {
        counts.entry(key(value)).or_insert((*value, 0)).1 += kind.count;
    }
    let positions: HashMap<[u64; 4], usize> = counts.keys().enumerate().map(|(at, key)| (*key, at)).collect();
    let entries = counts.into_values().collect();
    let census = Census { entries, pixels: coded.codes.len(), white: raw.white, lossy: raw.lossy };
    let is_named = match &policy.rule {
        MaskRule::Threshold(_) => true,
        MaskRule::Labels(labels) => !labels.foreground.is_empty(),
        _ => false,
    };
    if raw.white_is_zero && !is_named {
        let found = census.shares();
        return Err(unclear(format!(
            "this TIFF stores white as 0, and programs differ on which of its values is drawn; found {found} as stored; name the \
             foreground (--foreground, or foreground = [...] under [data.options])"
        )));
    }
    let soft = |largest: f64| edges_only(&coded.codes, raw.width, &values, largest);
    let classes = classify(&census, &policy.rule, soft).map_err(|refusal| match refusal {
        Refusal::Unclear(reason) => unclear(reason),
        Refusal::ManyValues => DataError::MultiClassMask { path: path.to_owned(), values: census.shares() },
    })?;
    let of_kind: Vec<Class> = values.iter().map(|value| classes[positions[&key(value)]]).collect();
    let plane = |class: Class| {
        let bits: Vec<bool> = coded.codes.iter().map(|&code| of_kind[code as usize] == class).collect();
        Mask::from_bools(raw.height, raw.width, &bits)
    };
    let mask = plane(Class::Foreground)?;
    if mask.is_empty() && !policy.allow_empty {
        return Err(DataError::EmptyMask { path: path.to_owned() });
    }
    let ignored = classes.contains(&Class::Ignored).then(|| plane(Class::Ignored)).transpose()?;
    Ok(DecodedMask { mask, ignored })
}

/// Whether values between background and foreground are soft edges: those never fill many blocks of 3 x 3 pixels evenly.
fn edges_only(codes: &[u32], width: usize, values: &[Value], largest: f64) -> bool {
    let between = |code: u32| matches!(values[code as usize], Value::Grey(grey) if grey > largest / 8.0 && grey < largest * 7.0 / 8.0);
    let even = |block: &[u32]| (0..3).all(|row| block[row * width..][..3].iter().all(|&code| code == block[0]));
    let blocks = codes.windows(2 * width + 3).enumerate().filter(|(start, _)| start % width + 2 < width);
    blocks.filter(|(_, block)| between(block[0]) && even(block)).take(9).count() < 9
}
