use super::schedule::{Schedule, utc};
use super::text;
use jiff::tz::TimeZone;

#[test]
fn cross() {
    let cases = std::fs::read_to_string("/tmp/cases.txt").unwrap();
    let mut bad = 0;
    for line in cases.lines() {
        let f: Vec<&str> = line.split('|').collect();
        let t = match text::parse(f[1]) {
            Ok(t) => t,
            Err(e) => {
                println!("REFUSED {line}: {e}");
                bad += 1;
                continue;
            }
        };
        let start = f[0].parse().unwrap();
        let s = Schedule::new(&t, start, TimeZone::UTC);
        let from: jiff::civil::DateTime = f[2].parse().unwrap();
        let want: Vec<i64> = f[3]
            .split_whitespace()
            .map(|x| utc(x.parse().unwrap()).unwrap())
            .collect();
        let got: Vec<i64> = s
            .after(utc(from).unwrap() - 1)
            .take(25)
            .filter(|x| jiff::Timestamp::from_second(*x).unwrap().to_string() < "2061".to_string())
            .collect();
        if got != want {
            bad += 1;
            if bad < 15 {
                println!(
                    "DIFF {line}\n got {:?}",
                    got.iter()
                        .map(|x| jiff::Timestamp::from_second(*x).unwrap().to_string())
                        .collect::<Vec<_>>()
                );
            }
        }
        if let Some(last) = want.last() {
            let mut back: Vec<i64> = s
                .until(*last)
                .take_while(|x| *x >= utc(from).unwrap())
                .collect();
            back.reverse();
            if back != want {
                bad += 1;
                println!("BACK {line}");
            }
        }
    }
    assert_eq!(bad, 0);
}
