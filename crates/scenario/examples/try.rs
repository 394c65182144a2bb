fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut options = stagegate_scenario::Options::default();
    args.retain(|a| match a.as_str() {
        "--update" => {
            options.update = true;
            false
        }
        "--json" => {
            options.output = stagegate_scenario::Output::Json;
            false
        }
        "--junit" => {
            options.output = stagegate_scenario::Output::Junit;
            false
        }
        _ => true,
    });
    let paths: Vec<std::path::PathBuf> = args.iter().map(Into::into).collect();
    let started = std::time::Instant::now();
    let report = stagegate_scenario::run_paths(&paths, options);
    print!("{}", report.text);
    eprintln!("{:?}", started.elapsed());
    std::process::exit(report.exit_code().into());
}
