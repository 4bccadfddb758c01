//! Metrics as a Prometheus server reads them, but strictly: the text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>). What a lenient reader passes over is an error here.

use std::collections::{BTreeMap, BTreeSet};

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name, with the suffix that histograms and summaries add.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Value.
    pub value: f64,
    /// Milliseconds since 1970, where given.
    pub time: Option<i64>,
}

/// Everything a program says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// `counter`, `gauge`, `histogram`, `summary` or `untyped`, by family.
    pub types: BTreeMap<String, String>,
    /// The values, in their order.
    pub samples: Vec<Sample>,
}

impl Metrics {
    /// The first value with this name and at least these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |s: &&Sample| labels.iter().all(|(k, v)| s.labels.get(*k).is_some_and(|own| own == v));
        self.samples.iter().filter(|s| s.name == name).find(has).map(|s| s.value)
    }

    /// Reads a whole page. The error names the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = LineReader::default();
        if !text.is_empty() && !text.ends_with('\n') {
            return Err("the last line has no line feed".to_owned());
        }
        for (n, line) in text.lines().enumerate() {
            reader.line(line).map_err(|what| {
                let start: String = line.chars().take(120).collect();
                format!("line {}: {what}: {}", n + 1, start.escape_debug())
            })?;
        }
        reader.finish()
    }
}

#[derive(Default)]
struct LineReader {
    metrics: Metrics,
    helped: BTreeSet<String>,
    /// The family whose lines are being read, and those that are complete.
    family: String,
    complete: BTreeSet<String>,
    seen: BTreeSet<(String, BTreeMap<String, String>)>,
}

impl LineReader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.trim().is_empty() {
            return Ok(());
        }
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.splitn(4, ' ').skip(1);
            let (what, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            return match what {
                "HELP" => {
                    self.enter(name)?;
                    let escapes = words.next().unwrap_or_default().replace("\\\\", "").replace("\\n", "");
                    match (escapes.contains('\\'), self.helped.insert(name.to_owned())) {
                        (true, _) => Err("an escape that is none".to_owned()),
                        (_, false) => Err(format!("{name} is described twice")),
                        _ => Ok(()),
                    }
                }
                "TYPE" => {
                    self.enter(name)?;
                    let kind = words.next().unwrap_or_default();
                    if !["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind) {
                        return Err(format!("{kind:?} is no type"));
                    }
                    if self.metrics.samples.iter().any(|s| s.name == name) {
                        return Err("the type comes after a value".to_owned());
                    }
                    match self.metrics.types.insert(name.to_owned(), kind.to_owned()) {
                        Some(_) => Err(format!("{name} has two types")),
                        None => Ok(()),
                    }
                }
                _ => Ok(()),
            };
        }
        let sample = sample(line)?;
        let family = self.family_of(&sample)?;
        self.enter(&family)?;
        if !self.seen.insert((sample.name.clone(), sample.labels.clone())) {
            return Err("the same value twice".to_owned());
        }
        self.metrics.samples.push(sample);
        Ok(())
    }

    /// All lines of a family stand together.
    fn enter(&mut self, family: &str) -> Result<(), String> {
        if !name(family, true) {
            return Err(format!("{family:?} is no name"));
        }
        if family != self.family {
            self.complete.insert(std::mem::replace(&mut self.family, family.to_owned()));
            if self.complete.contains(family) {
                return Err(format!("{family} stands in two places"));
            }
        }
        Ok(())
    }

    fn family_of(&self, sample: &Sample) -> Result<String, String> {
        for suffix in ["_bucket", "_sum", "_count"] {
            let Some(base) = sample.name.strip_suffix(suffix) else { continue };
            match (self.metrics.types.get(base).map(String::as_str), suffix) {
                (Some("histogram"), "_bucket") if !sample.labels.contains_key("le") => {
                    return Err("a bucket without le".to_owned());
                }
                (Some("histogram"), _) | (Some("summary"), "_sum" | "_count") => return Ok(base.to_owned()),
                _ => {}
            }
        }
        match self.metrics.types.get(&sample.name).map(String::as_str) {
            Some("histogram") => Err("a histogram has buckets, a sum and a count alone".to_owned()),
            Some("summary") if !sample.labels.contains_key("quantile") => Err("a summary without quantile".to_owned()),
            Some("counter") if sample.value < 0.0 => Err("a counter below zero".to_owned()),
            _ => Ok(sample.name.clone()),
        }
    }

    /// Every histogram has an infinite bucket that equals its count, and none that falls.
    fn finish(self) -> Result<Metrics, String> {
        let histograms = self.metrics.types.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name);
        for family in histograms {
            let bucket = format!("{family}_bucket");
            let mut all: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
            for sample in self.metrics.samples.iter().filter(|s| s.name == bucket) {
                let mut labels = sample.labels.clone();
                let le = labels.remove("le").and_then(|le| number(&le)).ok_or(format!("{family}: le is no number"))?;
                all.entry(labels).or_default().push((le, sample.value));
            }
            for (labels, buckets) in all {
                let count = format!("{family}_count");
                let count = self.metrics.samples.iter().find(|s| s.name == count && s.labels == labels);
                if buckets.last().map(|(le, n)| (*le, Some(*n))) != Some((f64::INFINITY, count.map(|c| c.value))) {
                    return Err(format!("{family}: the infinite bucket is not the count"));
                }
                if buckets.windows(2).any(|w| w[0].0 >= w[1].0 || w[0].1 > w[1].1) {
                    return Err(format!("{family}: the buckets do not rise"));
                }
            }
        }
        Ok(self.metrics)
    }
}

/// `name{label="value",…} value [time]`.
fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ', '\t']).ok_or("no value")?;
    let (own, rest) = line.split_at(end);
    if !name(own, true) {
        return Err(format!("{own:?} is no name"));
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    let words: Vec<&str> = rest.split([' ', '\t']).filter(|w| !w.is_empty()).collect();
    let (value, time) = match words[..] {
        [value] => (value, None),
        [value, time] => (value, Some(time.parse().map_err(|_| format!("{time:?} is no time"))?)),
        _ => return Err("a value, and a time at most, stand behind the name".to_owned()),
    };
    let value = number(value).ok_or_else(|| format!("{value:?} is no number"))?;
    Ok(Sample { name: own.to_owned(), labels, value, time })
}

/// Labels behind their brace, and what follows them.
fn labels(mut text: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut all = BTreeMap::new();
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((all, rest));
        }
        let (key, rest) = text.split_once('=').ok_or("a label without value")?;
        let key = key.trim();
        let mut rest = rest.trim_start().strip_prefix('"').ok_or("a label's value without quotes")?.chars();
        if !name(key, false) {
            return Err(format!("{key:?} is no label"));
        }
        let mut value = String::new();
        loop {
            match rest.next().ok_or("a label's value without end")? {
                '"' => break,
                '\\' => value.push(match rest.next() {
                    Some('n') => '\n',
                    Some(c @ ('"' | '\\')) => c,
                    _ => return Err("an escape that is none".to_owned()),
                }),
                c => value.push(c),
            }
        }
        if all.insert(key.to_owned(), value).is_some() {
            return Err(format!("{key} stands twice"));
        }
        text = rest.as_str().trim_start();
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None if text.starts_with('}') => {}
            None => return Err("labels without a comma between".to_owned()),
        }
    }
}

fn name(text: &str, colons: bool) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(fine)
}

/// What Go's ParseFloat takes, as far as exporters write it.
fn number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) => {
            text.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the format's own page.
    const EXAMPLE: &str = r#"# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# A histogram, which has a pretty complex representation in the text format:
# HELP http_request_duration_seconds A histogram of the request duration.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="0.1"} 33444
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320

# Finally a summary, which has a complex representation, too:
# HELP rpc_duration_seconds A summary of the RPC duration in seconds.
# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.01"} 3102
rpc_duration_seconds{quantile="0.99"} 76656
rpc_duration_seconds_sum 1.7560473e+07
rpc_duration_seconds_count 2693
"#;

    #[test]
    fn the_example_of_the_format_is_read() {
        let read = Metrics::parse(EXAMPLE).expect("well-formed");
        assert_eq!((read.samples.len(), read.types.len()), (14, 3));
        assert_eq!(read.value("http_requests_total", &[("code", "400")]), Some(3.0));
        assert_eq!(read.samples[2].labels["error"], "Cannot find file:\n\"FILE.TXT\"");
        assert_eq!(read.value("something_weird", &[]), Some(f64::INFINITY));
        assert_eq!(Metrics::parse(""), Ok(Metrics::default()));
    }

    #[test]
    fn what_a_lenient_reader_passes_over_is_refused() {
        for (wrong, why) in [
            ("a 1", "no line feed"),
            ("a\n", "no value"),
            ("1a 1\n", "no name"),
            ("a one\n", "no number"),
            ("a 0x1p3\n", "no number"),
            ("a 1 2 3\n", "at most"),
            ("a 1 soon\n", "no time"),
            ("a{b=1} 1\n", "without quotes"),
            ("a{b:c=\"1\"} 1\n", "no label"),
            ("a{b=\"1\" c=\"2\"} 1\n", "comma"),
            ("a{b=\"1\",b=\"2\"} 1\n", "twice"),
            ("a{b=\"\\t\"} 1\n", "escape"),
            ("a{b=\"1} 1\n", "without end"),
            ("a 1\na 2\n", "same value twice"),
            ("a{x=\"1\"} 1\nb 1\na{x=\"2\"} 2\n", "two places"),
            ("# TYPE a counter\n# TYPE a counter\n", "two types"),
            ("# TYPE a number\n", "no type"),
            ("a 1\n# TYPE a gauge\n", "after a value"),
            ("# HELP a x\n# HELP a y\n", "described twice"),
            ("# TYPE a counter\na -1\n", "below zero"),
            ("# TYPE a histogram\na 1\n", "alone"),
            ("# TYPE a histogram\na_bucket 1\n", "without le"),
            ("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_count 1\n", "infinite"),
            ("# TYPE a histogram\na_bucket{le=\"1\"} 5\na_bucket{le=\"+Inf\"} 2\na_count 2\n", "rise"),
            ("# TYPE a summary\na 1\n", "quantile"),
        ] {
            let error = Metrics::parse(wrong).expect_err(wrong);
            assert!(error.contains(why), "{wrong:?}: {error}");
        }
    }
}
