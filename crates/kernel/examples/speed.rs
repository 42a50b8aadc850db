use std::time::Instant;
use zk_autograd_kernel::arch::named;
use zk_autograd_kernel::{Source, Stepper, Tensor, rules};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let arch = named(args.get(1).map_or("auto", |s| s)).unwrap();
    for (n, reps) in [(2_560_usize, 4000), (100_000, 200), (1_000_000, 30), (10_000_000, 5)] {
        let mut x: u64 = 88172645463325252;
        let mut next = || { x ^= x << 13; x ^= x >> 7; x ^= x << 17; x };
        let w: Vec<i64> = (0..n).map(|_| (next() >> 30) as i64).collect();
        let m: Vec<i64> = (0..n).map(|_| (next() >> 30) as i64).collect();
        let v: Vec<i64> = (0..n).map(|_| (next() >> 8) as i64).collect();
        let g: Vec<f32> = (0..n).map(|_| ((next() >> 40) as f32 / 16777216.0 - 0.5) * 0.02).collect();
        let mut weights = vec![0.0_f32; n];
        let mut kept = vec![0_i32; n];
        let mut s = Stepper::new(rules::row("adam").unwrap(), vec![Tensor { size: n, group: 0 }], &[&w, &m, &v]).unwrap();
        s.write(&mut [&mut weights]).unwrap();
        let c: &[i64] = &[3277, 33, 4294967, 687, 0];
        let mut times = vec![];
        for _ in 0..reps {
            let t = Instant::now();
            s.step(Source::Model { gradients: vec![&g], weights: vec![&mut weights], k: 0 }, &mut kept, &[c], arch, 1).unwrap();
            times.push(t.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        println!("{n}: min {:.2} median {:.2} ns an element", times[0] / n as f64 * 1e9, times[reps / 2] / n as f64 * 1e9);
    }
}
