//! The statuses of partners, and which can follow which.

crate::pg_enum! {
    /// Whether a partner may work.
    pub enum PartnerStatus {
        /// Signed up and waiting for an operator's approval; can read only.
        Pending = "pending",
        /// At work.
        Active = "active",
        /// Stopped by an operator for the time being; can read only.
        Suspended = "suspended",
        /// Ended for good; can read only.
        Closed = "closed",
    }
}

impl PartnerStatus {
    /// Whether an operator may take a partner from here to `next`. A closed partner stays closed.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending | Self::Suspended => matches!(next, Self::Active | Self::Closed),
            Self::Active => matches!(next, Self::Suspended | Self::Closed),
            Self::Closed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PartnerStatus::{Active, Closed, Pending, Suspended};

    /// The whole table of steps.
    #[test]
    fn statuses() {
        let allowed = [
            (Pending, Active),
            (Pending, Closed),
            (Active, Suspended),
            (Active, Closed),
            (Suspended, Active),
            (Suspended, Closed),
        ];
        for from in super::PartnerStatus::ALL {
            for to in super::PartnerStatus::ALL {
                assert_eq!(from.may_become(*to), allowed.contains(&(*from, *to)), "{from:?} to {to:?}");
            }
        }
    }
}
