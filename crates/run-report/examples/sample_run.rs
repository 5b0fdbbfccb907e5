//! Writes the files of a random run, and a page and a trace of it:
//! `cargo run --release -p run-report --features testing --example sample_run -- DIRECTORY 1000`; behind the number of
//! tasks may be a seed, and then `a5`.

use std::error::Error;
use std::io::BufWriter;
use std::path::PathBuf;

use run_report::testing::{Chip, Sample};
use run_report::{Facts, check, page, trace};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let directory = PathBuf::from(args.next().ok_or("name a directory for the files")?);
    let tasks = args.next().map_or(Ok(1000), |text| text.parse())?;
    let seed = args.next().map_or(Ok(1), |text| text.parse())?;
    let mut sample = Sample::new(seed, tasks);
    if args.next().as_deref() == Some("a5") {
        sample = Sample { chip: Chip::A5, clusters: 36, threads: 7, ..sample };
    }
    let run = sample.write(&directory)?;
    let names = Sample::names();
    let findings = check(&run, &Facts::default());
    std::fs::write(directory.join("report.html"), page(&run, &format!("{tasks} tasks"), &names, &findings))?;
    let mut file = BufWriter::new(std::fs::File::create(directory.join("trace.json"))?);
    trace(&run, &names, &mut file)?;
    Ok(())
}
