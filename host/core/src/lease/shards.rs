//! Several replicas share the Issuers: each Issuer belongs to one of N shards, and each shard is a Lease.
//!
//! How many replicas there are they know by their seats: N more Leases, of which each replica holds one. Whoever has no seat,
//! because there are more replicas than shards, waits for one. With one shard there is nothing to share and nobody counts
//! replicas: that is leader election.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};

/// The shard, from 0, that something belongs to by its name: the same in every process and every version, so that two of them
/// never take the same Issuer for theirs.
pub fn shard_of(name: &str, shards: usize) -> usize {
    let digest = digest(&SHA256, name.as_bytes());
    let number = digest.as_ref().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    // What is left of a division by a usize fits into one.
    (number % shards.max(1) as u64) as usize
}

/// Who holds what. None: nobody, or somebody whose Lease has run out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The holders of the seats; there are none where there is one shard.
    pub seats: Vec<Option<String>>,
    /// The holders of the shards.
    pub shards: Vec<Option<String>>,
}

/// Which Leases a process wants to hold; it lets go of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// By seat.
    pub seats: Vec<bool>,
    /// By shard.
    pub shards: Vec<bool>,
}

impl Census {
    /// What `me` wants, so that each replica comes to hold its fair share, and none lets go of more than one shard at a time.
    /// `draw` is a random number, one for each replica: those who look for something free do not all try the same.
    pub fn wishes(&self, me: &str, draw: usize) -> Wishes {
        if self.shards.len() == 1 {
            return Wishes { seats: vec![], shards: vec![true] };
        }
        let mut shards: Vec<bool> = self.shards.iter().map(|holder| holder.as_deref() == Some(me)).collect();
        let (held, members) = (shards.iter().filter(|held| **held).count(), self.members());
        // Without a seat nobody counts this replica.
        if members.contains_key(me) {
            let more = self.fair_share(&members).saturating_sub(held);
            for shard in free(&self.shards, draw).into_iter().take(more) {
                shards[shard] = true;
            }
            if self.gives_up(me, &members)
                && let Some(last) = shards.iter().rposition(|held| *held)
            {
                shards[last] = false;
            }
        }
        let seat = self.seats.iter().position(|holder| holder.as_deref() == Some(me));
        let seat = seat.or_else(|| free(&self.seats, draw).first().copied());
        Wishes { seats: (0..self.seats.len()).map(|n| Some(n) == seat).collect(), shards }
    }

    /// Who has a seat, and how many shards each of them holds.
    fn members(&self) -> BTreeMap<&str, usize> {
        let seated = self.seats.iter().flatten();
        let held = |member: &str| self.shards.iter().flatten().filter(|holder| *holder == member).count();
        seated.map(|member| (member.as_str(), held(member))).collect()
    }

    /// How many shards one may hold: as many as all can have, and one more where all have these and some are left.
    fn fair_share(&self, members: &BTreeMap<&str, usize>) -> usize {
        let (shards, members_count) = (self.shards.len(), members.len().max(1));
        let least = shards / members_count;
        if members.values().all(|held| *held >= least) { shards.div_ceil(members_count) } else { least }
    }

    /// Whether `me` lets one go: of those who hold the most it is the first, somebody holds two less, and nothing is free
    /// that they could take.
    fn gives_up(&self, me: &str, members: &BTreeMap<&str, usize>) -> bool {
        let most = members.values().max().copied().unwrap_or_default();
        let poorest = members.values().min().copied().unwrap_or_default();
        let richest = members.iter().find(|(_, held)| **held == most).map(|(member, _)| *member);
        self.shards.iter().all(Option::is_some) && richest == Some(me) && most >= poorest + 2
    }
}

/// What nobody holds, beginning somewhere: the same, as long as nobody takes it.
fn free(holders: &[Option<String>], draw: usize) -> Vec<usize> {
    let count = holders.len();
    let from_there = (0..count).map(|n| (n + draw % count) % count);
    from_there.filter(|n| holders[*n].is_none()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `"a b -"`: held by a, by b, by nobody.
    fn census(seats: &str, shards: &str) -> Census {
        let holders = |text: &str| -> Vec<_> {
            text.split_whitespace().map(|who| (who != "-").then(|| who.to_owned())).collect()
        };
        Census { seats: holders(seats), shards: holders(shards) }
    }

    /// How many shards somebody wants.
    fn wants(census: &Census, me: &str) -> usize {
        census.wishes(me, 0).shards.iter().filter(|wish| **wish).count()
    }

    #[test]
    fn one_shard_is_wanted_by_all() {
        for holder in ["-", "a", "b"] {
            let wishes = census("", holder).wishes("a", 7);
            assert_eq!(wishes, Wishes { seats: vec![], shards: vec![true] });
        }
    }

    #[test]
    fn shards_are_the_same_in_every_version() {
        assert_eq!(shard_of("WasmIssuer team-a/ca", 1), 0);
        // As they were when this was written.
        let shards = ["a", "b", "c", "d"].map(|name| shard_of(&format!("WasmIssuer x/{name}"), 4));
        assert_eq!(shards, [3, 1, 1, 0]);
        let mut counts = [0; 4];
        (0..4000).for_each(|n| counts[shard_of(&format!("WasmIssuer team-{n}/ca"), 4)] += 1);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_seat_comes_first() {
        let wishes = census("- - -", "- - -").wishes("a", 1);
        assert_eq!(wishes, Wishes { seats: vec![false, true, false], shards: vec![false; 3] });
        let full = census("b c", "b c").wishes("a", 1);
        assert_eq!(full.seats, [false, false], "there are more replicas than shards");
        let seated = census("b a", "- -").wishes("a", 0);
        assert_eq!((seated.seats, wants(&census("b a", "- -"), "a")), (vec![false, true], 1));
    }

    #[test]
    fn who_is_alone_takes_all() {
        assert_eq!(wants(&census("a - -", "- - -"), "a"), 3);
        assert_eq!(wants(&census("a - -", "a a -"), "a"), 3, "another one has died");
    }

    #[test]
    fn who_holds_too_many_lets_one_go_at_a_time() {
        assert_eq!(wants(&census("a b - -", "a a a a"), "a"), 3);
        assert_eq!(wants(&census("a b - -", "a a a -"), "a"), 3, "that one is to be taken first");
        assert_eq!(wants(&census("a b - -", "a a a -"), "b"), 1);
        assert_eq!(wants(&census("a b - -", "a a b b"), "a"), 2);
        assert_eq!(wants(&census("a b -", "a a b"), "a"), 2, "one more is as fair as one less");
    }

    /// Whoever comes and goes, some rounds later all is held, and nobody holds two more than another one.
    #[test]
    fn shares_become_fair_and_stay_so() {
        for shards in 2..9 {
            for replicas in 1..=shards {
                let members: Vec<String> = (0..replicas).map(|n| format!("r{n}")).collect();
                let mut now =
                    Census { seats: vec![None; shards], shards: vec![Some("r0".to_owned()); shards] };
                for (seat, member) in now.seats.iter_mut().zip(&members) {
                    *seat = Some(member.clone());
                }
                for round in 0..100 {
                    let before = now.clone();
                    for member in &members {
                        let wishes = now.wishes(member, round);
                        for (holder, wish) in now.shards.iter_mut().zip(wishes.shards) {
                            match holder {
                                None if wish => *holder = Some(member.clone()),
                                Some(who) if who == member && !wish => *holder = None,
                                _ => {}
                            }
                        }
                    }
                    assert!(round < 40 || now == before, "it goes on for ever: {now:?}");
                }
                let held: Vec<_> = now.members().into_values().collect();
                assert_eq!(held.iter().sum::<usize>(), shards, "{now:?}");
                assert!(held.iter().max().unwrap() - held.iter().min().unwrap() < 2, "{now:?}");
            }
        }
    }
}
