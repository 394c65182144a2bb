//! What the sample service is told on its command line.

/// How the sample service behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Address to listen on; loopback unless told otherwise.
    pub host: String,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// The version it says it is.
    pub version: String,
    /// The name it says it has.
    pub name: String,
    /// Unhealthy from the start.
    pub unhealthy: bool,
    /// Becomes unhealthy after this time.
    pub unhealthy_after_seconds: Option<u64>,
    /// Ends with an error after this time.
    pub crash_after_seconds: Option<u64>,
    /// Share of requests answered with a 500, 0 to 1.
    pub error_rate: f64,
    /// Time added to every answer.
    pub latency_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 0,
            version: "unknown".to_owned(),
            name: "sample-service".to_owned(),
            unhealthy: false,
            unhealthy_after_seconds: None,
            crash_after_seconds: None,
            error_rate: 0.0,
            latency_ms: 0,
        }
    }
}

impl Options {
    /// Reads `--port 8080 --version v1 …` (also `--port=8080`).
    ///
    /// # Errors
    /// A sentence that names the argument.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let (flag, inline) = match arg.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (arg, None),
            };
            if flag == "--unhealthy" && inline.is_none() {
                options.unhealthy = true;
                continue;
            }
            let value = inline
                .or_else(|| args.next())
                .ok_or_else(|| format!("`{flag}` needs a value"))?;
            match flag.as_str() {
                "--host" => options.host = value,
                "--port" => options.port = number(&flag, &value)?,
                "--version" => options.version = value,
                "--name" => options.name = value,
                "--unhealthy-after-seconds" => {
                    options.unhealthy_after_seconds = Some(number(&flag, &value)?);
                }
                "--crash-after-seconds" => {
                    options.crash_after_seconds = Some(number(&flag, &value)?);
                }
                "--error-rate" => options.error_rate = rate(&flag, &value)?,
                "--latency-ms" => options.latency_ms = number(&flag, &value)?,
                _ => {
                    return Err(format!(
                        "unknown argument `{flag}`; there are --host, --port, --version, --name, --unhealthy, \
                         --unhealthy-after-seconds, --crash-after-seconds, --error-rate and --latency-ms"
                    ));
                }
            }
        }
        Ok(options)
    }
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("`{flag}`: `{value}` is not a number in range"))
}

fn rate(flag: &str, value: &str) -> Result<f64, String> {
    value
        .parse()
        .ok()
        .filter(|rate| (0.0..=1.0).contains(rate))
        .ok_or_else(|| format!("`{flag}`: `{value}` is not between 0 and 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        Options::from_args(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_in_both_forms() {
        let options =
            read("--port 8080 --version=v2 --unhealthy --error-rate 0.25 --latency-ms=7").unwrap();
        assert_eq!((options.port, options.latency_ms), (8080, 7));
        assert_eq!(options.version, "v2");
        assert!(options.unhealthy);
        assert!((options.error_rate - 0.25).abs() < f64::EPSILON);
    }

    #[test]
    fn wrong_arguments_are_named() {
        for line in [
            "--port x",
            "--port 70000",
            "--error-rate 2",
            "--nope 1",
            "--version",
        ] {
            let error = read(line).unwrap_err();
            let flag = line.split(' ').next().unwrap();
            assert!(error.contains(flag), "{error}");
        }
    }
}
