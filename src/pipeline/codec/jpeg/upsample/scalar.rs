//! The reference.

/// Sums of three parts and one, halved twice; `bias` is 1 where halves go down and 2 where they go up.
fn quarter(near: u8, far: u8, bias: u32) -> u8 {
    ((3 * u32::from(near) + u32::from(far) + bias) >> 2) as u8
}

pub(super) fn wider(row: &[u8], wide: &mut [u8]) {
    widen(wide, row.len(), |x, beside, bias| quarter(row[x], row[beside], bias));
}

pub(super) fn higher(near: &[u8], far: &[u8], is_upper: bool, out: &mut [u8]) {
    let bias = if is_upper { 1 } else { 2 };
    for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
        *out = quarter(near, far, bias);
    }
}

pub(super) fn wider_and_higher(near: &[u8], far: &[u8], wide: &mut [u8]) {
    let sum = |x: usize| 3 * u32::from(near[x]) + u32::from(far[x]);
    // Sixteenths: 8 rounds halves up, 7 down.
    widen(wide, near.len(), |x, beside, bias| ((3 * sum(x) + sum(beside) + 9 - bias) >> 4) as u8);
}

/// Makes two samples of each of `length`, told where it is, where the neighbour is, and the bias of quarters.
#[inline]
fn widen(wide: &mut [u8], length: usize, sample: impl Fn(usize, usize, u32) -> u8) {
    let (pairs, rest) = wide.as_chunks_mut::<2>();
    for (x, pair) in pairs.iter_mut().enumerate() {
        *pair = [sample(x, x.saturating_sub(1), 1), sample(x, (x + 1).min(length - 1), 2)];
    }
    if let [last] = rest {
        *last = sample(length - 1, length.saturating_sub(2), 1);
    }
}

pub(super) fn repeated<const N: usize>(row: &[u8], wide: &mut [u8]) {
    let (groups, rest) = wide.as_chunks_mut::<N>();
    for (group, &sample) in groups.iter_mut().zip(row) {
        *group = [sample; N];
    }
    if let Some(&last) = row.last() {
        rest.fill(last);
    }
}
