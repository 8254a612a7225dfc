// SPDX-License-Identifier: GPL-2.0-only
//! KTAP of the clients: one test for each step, steps in order, of one state.

/// A failure, in words.
pub type Outcome = Result<(), String>;
pub type Step<'a, State> = (&'a str, fn(&mut State) -> Outcome);

/// Opens, which is the first test, then takes the steps; returns the program's exit code.
pub fn run<State>(opening: &str, open: fn() -> Result<State, String>, steps: &[Step<State>]) -> i32 {
    println!("KTAP version 1\n1..{}", steps.len() + 1);
    let mut state = match open() {
        Ok(state) => state,
        Err(why) => {
            println!("# {why}\nnot ok 1 {opening}\nBail out! without that nothing can be asked");
            return 1;
        }
    };
    println!("ok 1 {opening}");
    let mut failed = 0;
    for (number, (name, step)) in steps.iter().enumerate() {
        match step(&mut state) {
            Ok(()) => println!("ok {} {name}", number + 2),
            Err(why) => {
                failed = 1;
                println!("# {}\nnot ok {} {name}", why.replace('\n', "\n# "), number + 2);
            }
        }
    }
    failed
}
