//! Counting what passed and what failed, from the lines that test runners close with.

/// Counts over everything that ran.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    /// Names of what failed.
    pub(crate) failures: Vec<String>,
    has_tests: bool,
}

/// What one test runner said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// As many as the runner named; each once.
    pub(crate) failures: Vec<String>,
}

impl Tally {
    /// A step that passes or fails as a whole.
    pub(crate) fn step(&mut self, name: &str, is_success: bool) {
        if is_success {
            self.passed += 1;
        } else {
            self.failures.push(name.to_owned());
        }
    }

    /// A run of tests. One that fails without naming a failed test counts as one failure.
    pub(crate) fn tests(&mut self, name: &str, is_success: bool, counted: Counted) {
        self.passed += counted.passed;
        self.has_tests |= counted.passed + counted.failed > 0;
        let failed = counted.failed.max(usize::from(!is_success));
        let unnamed = failed.saturating_sub(counted.failures.len());
        self.failures.extend(counted.failures);
        self.failures.extend((0..unnamed).map(|_| format!("{name}: see its output")));
    }

    pub(crate) fn failed(&self) -> usize {
        self.failures.len()
    }

    /// Whether any test ran: a filter that names none, and an output that can't be read, must not
    /// look like success.
    pub(crate) fn has_tests(&self) -> bool {
        self.has_tests
    }

    pub(crate) fn is_success(&self) -> bool {
        self.failures.is_empty() && self.has_tests
    }
}

/// Reads `cargo nextest run`: the line `Summary [ 1.2s] 3/4 tests run: 1 passed (1 slow), 2 failed`
/// and the `FAIL` lines.
pub(crate) fn nextest(lines: &[String]) -> Counted {
    let mut counted = Counted::default();
    for line in lines {
        let line = line.trim();
        if line.starts_with("Summary [") {
            let counts = line.split_once("run: ").map_or("", |(_, counts)| counts);
            for (number, what) in numbers(&without_parentheses(counts), ',') {
                match what.as_str() {
                    "passed" => counted.passed += number,
                    "skipped" => {}
                    // failed, timed out, exec failed, and whatever comes to mean the like
                    _ => counted.failed += number,
                }
            }
        }
        let is_failure = ["FAIL", "TIMEOUT", "SIG", "ABORT", "XFAIL"]
            .iter()
            .any(|status| line.starts_with(status));
        if let Some((_, name)) = line.split_once(']').filter(|_| is_failure && line.contains('[')) {
            push_once(&mut counted.failures, without_position(name.trim()));
        }
    }
    counted.failures.truncate(counted.failed);
    counted
}

/// Reads `cargo test`: `test result: ok. 3 passed; 0 failed; …` per binary, and its
/// `test NAME ... FAILED` lines.
pub(crate) fn libtest(lines: &[String]) -> Counted {
    let mut counted = Counted::default();
    for line in lines {
        let line = line.trim();
        if let Some(result) = line.strip_prefix("test result: ") {
            let counts = result.split_once(". ").map_or("", |(_, counts)| counts);
            for (number, what) in numbers(counts, ';') {
                match what.as_str() {
                    "passed" => counted.passed += number,
                    "failed" => counted.failed += number,
                    _ => {}
                }
            }
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            // the same name may fail in two binaries
            counted.failures.push(name.to_owned());
        }
    }
    counted.failures.truncate(counted.failed);
    counted
}

/// Reads `node --test`: `ℹ pass 3`, `ℹ fail 1`, or with a `#` instead of the sign, and `✖ NAME (1.2ms)`.
pub(crate) fn node_test(lines: &[String]) -> Counted {
    let mut counted = Counted::default();
    for line in lines {
        let line = line.trim();
        if let Some(said) = line.strip_prefix("ℹ ").or_else(|| line.strip_prefix("# ")) {
            match said.split_once(' ') {
                Some(("pass", number)) => counted.passed += number.parse().unwrap_or(0),
                Some(("fail" | "cancelled", number)) => {
                    counted.failed += number.parse().unwrap_or(0);
                }
                _ => {}
            }
        } else if let Some(name) = line.strip_prefix("✖ ").filter(|name| name.ends_with("ms)")) {
            push_once(&mut counted.failures, name);
        }
    }
    counted.failures.truncate(counted.failed);
    counted
}

/// Reads pytest: its last line, `1 failed, 2 passed, 3 skipped in 4.5s`, and `FAILED NAME - why`.
pub(crate) fn pytest(lines: &[String]) -> Counted {
    let mut counted = Counted::default();
    for line in lines {
        let line = line.trim().trim_matches('=').trim();
        let last = line.rsplit_once(" in ").filter(|(_, time)| is_time(time));
        if let Some((counts, _)) = last {
            for (number, what) in numbers(counts, ',') {
                match what.as_str() {
                    "passed" => counted.passed += number,
                    "failed" | "error" | "errors" => counted.failed += number,
                    _ => {}
                }
            }
        } else if let Some(name) =
            line.strip_prefix("FAILED ").or_else(|| line.strip_prefix("ERROR "))
        {
            push_once(&mut counted.failures, name);
        }
    }
    counted.failures.truncate(counted.failed);
    counted
}

/// `35.10s`, or `95.10s (0:01:35)`.
fn is_time(text: &str) -> bool {
    let seconds = text.split(' ').next().and_then(|text| text.strip_suffix('s'));
    seconds.is_some_and(|seconds| seconds.parse::<f64>().is_ok())
}

/// `3 passed, 1 timed out` as pairs.
fn numbers(text: &str, separator: char) -> impl Iterator<Item = (usize, String)> {
    text.split(separator).filter_map(|part| {
        let (number, what) = part.trim().split_once(' ')?;
        Some((number.parse().ok()?, what.trim().to_owned()))
    })
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0;
    text.chars()
        .filter(|character| {
            depth += i32::from(*character == '(');
            let is_outside = depth == 0;
            depth -= i32::from(*character == ')');
            is_outside
        })
        .collect()
}

/// Newer nextests write `( 5/96)` before a name.
fn without_position(name: &str) -> &str {
    match name.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((_, name)) => name.trim(),
        None => name,
    }
}

fn push_once(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_clean_nextest_run_is_counted() {
        let said = "    Starting 3 tests across 1 binary\n        PASS [   0.006s] (1/3) a b\n\
                    ────────────\n     Summary [   1.046s] 3 tests run: 3 passed (1 slow, 2 leaky), 12 skipped";
        let counted = nextest(&lines(said));
        assert_eq!(counted, Counted { passed: 3, failed: 0, failures: vec![] });
    }

    #[test]
    fn failures_of_nextest_are_named_once() {
        let said = "        FAIL [   0.004s] ( 2/96) crate::file one\n\
                    \x20    SIGABRT [   0.004s] crate::file two\n\
                    \x20    TIMEOUT [  60.004s] crate::file three\n\
                    \x20    Summary [   0.046s] 5/6 tests run: 2 passed, 2 failed, 1 timed out, 0 skipped\n\
                    \x20       FAIL [   0.004s] ( 2/96) crate::file one\n\
                    \x20    SIGABRT [   0.004s] crate::file two\n\
                    \x20    TIMEOUT [  60.004s] crate::file three\nerror: test run failed";
        let counted = nextest(&lines(said));
        let names = ["crate::file one", "crate::file two", "crate::file three"];
        assert_eq!((counted.passed, counted.failed), (2, 3));
        assert_eq!(counted.failures, names);
    }

    #[test]
    fn cargo_test_is_counted_over_all_binaries() {
        let said = "test a::one ... ok\ntest a::two ... FAILED\n\
                    test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                    test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.00s";
        let counted = libtest(&lines(said));
        let failures = vec!["a::two".to_owned()];
        assert_eq!(counted, Counted { passed: 8, failed: 1, failures });
    }

    #[test]
    fn node_and_pytest_are_counted_by_what_they_close_with() {
        let said =
            "✔ a (1.2ms)\n✖ b (0.3ms)\nℹ tests 3\nℹ pass 2\nℹ fail 1\nℹ cancelled 0\nℹ skipped 0";
        let failures = vec!["b (0.3ms)".to_owned()];
        assert_eq!(node_test(&lines(said)), Counted { passed: 2, failed: 1, failures });
        let said = "FAILED tests/test_a.py::test_b - assert 1 == 2\n1 failed, 566 passed, 2 skipped in 95.10s (0:01:35)";
        let failures = vec!["tests/test_a.py::test_b - assert 1 == 2".to_owned()];
        assert_eq!(pytest(&lines(said)), Counted { passed: 566, failed: 1, failures });
        assert_eq!(pytest(&lines("==== 5 passed in 0.12s ====")).passed, 5);
    }

    #[test]
    fn a_run_that_fails_without_a_count_is_a_failure() {
        let mut tally = Tally::default();
        tally.tests("tests", false, nextest(&lines("error: could not compile")));
        assert_eq!((tally.passed, tally.failed(), tally.is_success()), (0, 1, false));
    }

    #[test]
    fn counts_without_names_are_failures_all_the_same() {
        let mut tally = Tally::default();
        let counted = Counted { passed: 2, failed: 3, failures: vec!["a".to_owned()] };
        tally.tests("doc tests", false, counted);
        assert_eq!((tally.passed, tally.failed()), (2, 3));
    }

    #[test]
    fn no_test_run_is_no_success() {
        let mut tally = Tally::default();
        tally.step("rustfmt", true);
        tally.tests("tests", true, Counted::default());
        assert!(!tally.is_success());
        tally.tests("doc tests", true, Counted { passed: 1, ..Counted::default() });
        assert!(tally.is_success());
        tally.step("clippy", false);
        assert!(!tally.is_success());
    }
}
