//! Made-up businesses as other systems would give them out: seeded, with the rows in them that nobody can bring in as they are.

use std::{collections::BTreeMap, fs, path::Path};

use chrono::DateTime;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::files::{csv, lines, page, shown};

/// Commissions by currency and status: how many, and what they come to.
pub type Sums = BTreeMap<(String, String), (i64, Decimal)>;

/// A commission.
pub struct Earned {
    pub partner: usize,
    pub link: usize,
    pub customer: usize,
    /// In the currency's smallest unit.
    pub units: i64,
    pub base: i64,
    pub currency: &'static str,
    /// In our words.
    pub status: &'static str,
    pub at: i64,
}

/// A business with its partners, a link and a payout for each of them, and its commissions.
pub struct Business {
    pub partners: usize,
    pub earned: Vec<Earned>,
    /// Whether there are rows that cannot be brought in.
    pub has_traps: bool,
}

/// Codes that every system's traps are reported with.
pub const TRAPS: [&str; 5] =
    ["AMOUNT_INVALID", "COMMISSION_UNRESOLVED", "CURRENCY_UNKNOWN", "STATUS_UNKNOWN", "TIME_OUT_OF_RANGE"];

/// The ids of the commissions that cannot be brought in.
const BAD: [&str; 5] = ["90001", "90002", "90003", "90004", "90005"];

/// The digits after the point.
pub fn digits(currency: &str) -> u32 {
    if currency == "JPY" { 0 } else { 2 }
}

/// An amount in the major unit.
pub fn major(units: i64, currency: &str) -> Decimal {
    Decimal::new(units, digits(currency)).normalize()
}

impl Business {
    /// One of this seed.
    pub fn new(seed: u64, partners: usize, commissions: usize, currencies: &[&'static str], has_traps: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let earned = (0..commissions).map(|_| {
            let partner = random.usize(..partners);
            Earned {
                partner,
                link: partner,
                // Every customer is one partner's.
                customer: partner * 1_000 + random.usize(..=commissions / 20),
                units: random.i64(1..900_000),
                base: random.i64(900_000..9_000_000),
                currency: currencies[random.usize(..currencies.len())],
                status: ["pending", "approved", "paid", "rejected"][random.usize(..4)],
                at: random.i64(1_600_000_000..1_780_000_000),
            }
        });
        Self { partners, earned: earned.collect(), has_traps }
    }

    /// What must come out, by what a system can say of statuses.
    pub fn sums(&self, status: impl Fn(&'static str) -> &'static str) -> Sums {
        let mut sums = Sums::new();
        for earned in &self.earned {
            let sum = sums.entry((earned.currency.to_owned(), status(earned.status).to_owned())).or_default();
            *sum = (sum.0 + 1, (sum.1 + major(earned.units, earned.currency)).normalize());
        }
        sums
    }

    fn time(at: i64) -> String {
        DateTime::from_timestamp(at, 0).expect("a time").to_rfc3339()
    }

    fn email(&self, partner: usize) -> String {
        // The last one has the address of the first, in other letters.
        if self.has_traps && partner + 1 == self.partners {
            "P0@Example.com".to_owned()
        } else {
            format!("p{partner}@example.com")
        }
    }

    /// The payout that pays a commission: one for each partner and currency.
    fn payout(earned: &Earned) -> Option<String> {
        (earned.status == "paid")
            .then(|| format!("{}{}", 7_000 + earned.partner, if earned.currency == "JPY" { "1" } else { "0" }))
    }

    /// The payouts, with partner, currency and sum.
    fn payouts(&self) -> BTreeMap<String, (usize, &'static str, i64)> {
        let mut payouts = BTreeMap::new();
        for earned in &self.earned {
            if let Some(id) = Self::payout(earned) {
                payouts.entry(id).or_insert((earned.partner, earned.currency, 0)).2 += earned.units;
            }
        }
        payouts
    }

    /// Writes the folder of a system.
    pub fn write(&self, source: &str, folder: &Path) {
        fs::create_dir_all(folder).expect("a folder");
        match source {
            "legacy" => self.legacy(folder),
            "dub" => self.dub(folder),
            "rewardful" => self.rewardful(folder),
            "tolt" => self.tolt(folder),
            "partnerstack" => self.partnerstack(folder),
            "firstpromoter" => self.firstpromoter(folder),
            _ => self.tapfiliate(folder),
        }
    }

    /// The commissions as a system writes them, each by its number, and those that are wrong in one cell each.
    fn commissions(&self, row: impl Fn(&str, &Earned) -> Value, spoil: impl Fn(&mut Value, usize)) -> Vec<Value> {
        let mut rows: Vec<Value> =
            self.earned.iter().enumerate().map(|(number, earned)| row(&(number + 1).to_string(), earned)).collect();
        if self.has_traps {
            for (trap, id) in BAD.iter().enumerate() {
                let earned = Earned {
                    partner: 0,
                    link: 0,
                    customer: 0,
                    units: 100,
                    base: 1_000,
                    currency: "USD",
                    status: "pending",
                    at: 1_700_000_000,
                };
                let mut bad = row(id, &earned);
                spoil(&mut bad, trap);
                rows.push(bad);
            }
        }
        rows
    }

    fn legacy(&self, folder: &Path) {
        let partners: Vec<Value> = (0..self.partners)
            .map(|n| json!({"id": format!("pn_{n}"), "name": format!("Partner {n}"), "email": self.email(n), "status": "approved", "createdAt": Self::time(1_500_000_000)}))
            .collect();
        csv(folder, "partners", &partners);
        let users: Vec<Value> =
            (0..self.partners).map(|n| json!({"id": format!("u_{n}"), "name": format!("User {n}"), "email": format!("u{n}@example.com"), "defaultPartnerId": format!("pn_{n}")})).collect();
        csv(folder, "users", &users);
        let belongs: Vec<Value> = (0..self.partners)
            .map(|n| json!({"userId": format!("u_{n}"), "partnerId": format!("pn_{n}"), "role": "owner"}))
            .collect();
        csv(folder, "partner_users", &belongs);
        let links: Vec<Value> = (0..self.partners)
            .map(|n| json!({"id": format!("l_{n}"), "userId": format!("u_{n}"), "url": format!("https://shop{}.com/{n}", n % 3), "domain": "go.example", "key": format!("legacy-{n}"), "clicks": n, "leads": n / 2, "createdAt": 1_650_000_000}))
            .collect();
        csv(folder, "links", &links);
        let payouts: Vec<Value> = self
            .payouts()
            .iter()
            .map(|(id, (partner, currency, sum))| json!({"id": id, "partnerId": format!("pn_{partner}"), "status": "completed", "amount": sum, "currency": currency, "paidAt": Self::time(1_790_000_000)}))
            .collect();
        csv(folder, "payouts", &payouts);
        let there = |status| {
            BTreeMap::from([("pending", "pending"), ("approved", "processed"), ("paid", "paid"), ("rejected", "canceled")])
                [status]
        };
        let rows = self.commissions(
            |id, earned| {
                json!({"id": format!("cm_{id}"), "linkId": format!("l_{}", earned.link), "partnerId": format!("pn_{}", earned.partner), "earnings": earned.units, "amount": earned.base,
                    "currency": earned.currency.to_lowercase(), "status": there(earned.status), "customerId": format!("cus_{}", earned.customer), "payoutId": Self::payout(earned), "createdAt": earned.at * 1_000})
            },
            |row, trap| match trap {
                0 => row["earnings"] = json!("12.5"),
                1 => (row["partnerId"], row["linkId"], row["customerId"]) = (json!(" "), json!("l_gone"), Value::Null),
                2 => row["currency"] = json!("doubloons"),
                3 => row["status"] = json!("lost"),
                _ => row["createdAt"] = json!(12),
            },
        );
        lines(folder, "commissions", &rows);
    }

    fn dub(&self, folder: &Path) {
        let partners: Vec<Value> = (0..self.partners)
            .map(|n| json!({"ID": format!("pn_{n}"), "Name": format!("Partner {n}"), "Email": self.email(n), "Status": "Approved", "Enrolled at": Self::time(1_500_000_000)}))
            .collect();
        csv(folder, "Dub Partners Export - 2026-11-20-10-00-00", &partners);
        let links: Vec<Value> = (0..self.partners)
            .map(|n| json!({"id": format!("link_{n}"), "url": format!("https://shop{}.com/{n}", n % 3), "shortLink": format!("https://go.example/dub-{n}"), "partnerId": format!("pn_{n}"), "clicks": n, "leads": 0, "createdAt": Self::time(1_650_000_000)}))
            .collect();
        page(folder, "links", &json!(links));
        let there = |status| {
            BTreeMap::from([("pending", "pending"), ("approved", "processed"), ("paid", "paid"), ("rejected", "fraud")])[status]
        };
        let rows = self.commissions(
            |id, earned| {
                json!({"id": format!("cm_{id}"), "type": "sale", "amount": shown(earned.base, earned.currency), "earnings": shown(earned.units, earned.currency), "currency": earned.currency.to_lowercase(),
                    "status": there(earned.status), "createdAt": Self::time(earned.at), "partnerId": format!("pn_{}", earned.partner), "customerId": format!("cus_{}", earned.customer)})
            },
            |row, trap| match trap {
                0 => row["earnings"] = json!("$1.2345"),
                1 => (row["partnerId"], row["customerId"]) = (json!("pn_gone"), json!("")),
                2 => row["currency"] = json!("doubloons"),
                3 => row["status"] = json!("lost"),
                _ => row["createdAt"] = json!("1969-07-20T20:17:00Z"),
            },
        );
        csv(folder, "commissions", &rows);
    }

    fn rewardful(&self, folder: &Path) {
        let affiliates: Vec<Value> = (0..self.partners)
            .map(|n| json!({"id": format!("a-{n}"), "first_name": "Ann", "last_name": format!("Lee {n}"), "email": self.email(n), "state": "active", "created_at": Self::time(1_500_000_000),
                "links": [{"id": format!("l-{n}"), "url": format!("https://shop{}.com/?via=rw{n}", n % 3), "token": format!("rw{n}"), "visitors": n, "leads": n / 2}]}))
            .collect();
        for (number, part) in affiliates.chunks(4).enumerate() {
            page(folder, &format!("affiliates-{number}"), &json!({"pagination": {"page": number}, "data": part}));
        }
        let there = |status| {
            BTreeMap::from([("pending", "pending"), ("approved", "due"), ("paid", "paid"), ("rejected", "voided")])[status]
        };
        let rows = self.commissions(
            |id, earned| {
                json!({"id": format!("c-{id}"), "amount": earned.units, "currency": earned.currency, "state": there(earned.status), "created_at": Self::time(earned.at),
                    "sale": {"id": format!("s-{id}"), "sale_amount_cents": earned.base, "currency": earned.currency,
                        "referral": {"id": format!("r-{}", earned.customer), "affiliate": {"id": format!("a-{}", earned.partner)}, "link": {"id": format!("l-{}", earned.link)}}}})
            },
            |row, trap| match trap {
                0 => row["amount"] = json!(1.5),
                1 => row["sale"] = json!({"referral": {"affiliate": {"id": "gone"}}}),
                2 => row["currency"] = json!("doubloons"),
                3 => row["state"] = json!("lost"),
                _ => row["created_at"] = json!("1969-07-20T20:17:00Z"),
            },
        );
        lines(folder, "commissions", &rows);
        let payouts: Vec<Value> = self
            .payouts()
            .iter()
            .map(|(id, (partner, currency, sum))| {
                let of = |(number, earned): (usize, &Earned)| (Self::payout(earned).as_ref() == Some(id)).then(|| json!({"id": format!("c-{}", number + 1)}));
                let commissions: Vec<Value> = self.earned.iter().enumerate().filter_map(of).collect();
                json!({"id": id, "affiliate": {"id": format!("a-{partner}")}, "state": "paid", "amount": sum, "currency": currency, "paid_at": Self::time(1_790_000_000), "commissions": commissions})
            })
            .collect();
        page(folder, "payouts", &json!({"data": payouts}));
    }

    fn tolt(&self, folder: &Path) {
        let partners: Vec<Value> = (0..self.partners)
            .map(|n| json!({"id": format!("part_{n}"), "first_name": "Ann", "last_name": format!("Lee {n}"), "email": self.email(n), "status": "active", "created_at": Self::time(1_500_000_000)}))
            .collect();
        page(folder, "partners", &json!({"data": partners}));
        let links: Vec<Value> =
            (0..self.partners).map(|n| json!({"id": format!("lnk_{n}"), "param": "via", "value": if n == 0 { "john doe".to_owned() } else { format!("tolt{n}") }, "partner": {"id": format!("part_{n}")}})).collect();
        page(folder, "links", &json!({"data": {"data": links}}));
        let there = |status| {
            BTreeMap::from([("pending", "pending"), ("approved", "approved"), ("paid", "paid"), ("rejected", "rejected")])[status]
        };
        let rows = self.commissions(
            |id, earned| {
                json!({"id": format!("comm_{id}"), "amount": earned.units.to_string(), "revenue": earned.base.to_string(), "currency": earned.currency, "status": there(earned.status),
                    "charge_id": format!("ch_{id}"), "partner_id": format!("part_{}", earned.partner), "customer_id": format!("cust_{}", earned.customer), "created_at": Self::time(earned.at)})
            },
            |row, trap| match trap {
                0 => row["amount"] = json!("12.50"),
                1 => (row["partner_id"], row["customer_id"]) = (Value::Null, Value::Null),
                2 => row["currency"] = json!("doubloons"),
                3 => row["status"] = json!("lost"),
                _ => row["created_at"] = json!("1969-07-20T20:17:00Z"),
            },
        );
        lines(folder, "commissions", &rows);
    }

    fn partnerstack(&self, folder: &Path) {
        let partners: Vec<Value> = (0..self.partners)
            .map(|n| json!({"key": format!("part_{n}"), "email": self.email(n), "first_name": "Ann", "last_name": format!("Lee {n}"), "created_at": 1_500_000_000_000_i64}))
            .collect();
        page(folder, "partnerships", &json!({"data": {"items": partners}}));
        let links: Vec<Value> =
            (0..self.partners).map(|n| json!({"key": format!("ps{n}"), "dest": format!("https://shop{}.com/{n}", n % 3), "url": format!("https://go.example/ps{n}"), "partnership_key": format!("part_{n}")})).collect();
        page(folder, "links", &json!({"data": {"items": links}}));
        let there = |status| {
            BTreeMap::from([("pending", "hold"), ("approved", "scheduled"), ("paid", "paid"), ("rejected", "declined")])[status]
        };
        let rows = self.commissions(
            |id, earned| {
                json!({"key": format!("rw_{id}"), "amount": earned.units, "currency": earned.currency, "reward_status": there(earned.status), "created_at": earned.at * 1_000,
                    "customer": {"external_key": format!("cus_{}", earned.customer)}, "transaction": {"amount": earned.base, "currency": "GBP"}, "partnership": {"email": self.email(earned.partner)}})
            },
            |row, trap| match trap {
                0 => row["amount"] = json!("abc"),
                1 => (row["partnership"], row["customer"]) = (json!({"email": "nobody@example.com"}), Value::Null),
                2 => row["currency"] = json!("doubloons"),
                3 => row["reward_status"] = json!("lost"),
                _ => row["created_at"] = json!(12),
            },
        );
        lines(folder, "rewards", &rows);
    }

    fn firstpromoter(&self, folder: &Path) {
        let promoters: Vec<Value> = (0..self.partners)
            .map(|n| json!({"id": n + 1, "email": self.email(n), "name": format!("Promoter {n}"), "joined_at": Self::time(1_500_000_000), "profile": {"company_name": null},
                "promoter_campaigns": [{"id": 100 + n, "state": "accepted", "ref_token": format!("fp{n}"), "ref_link": format!("https://shop{}.com/?fpr=fp{n}", n % 3), "created_at": Self::time(1_500_000_000)}]}))
            .collect();
        page(folder, "promoters", &json!(promoters));
        let there = |status| {
            BTreeMap::from([("pending", "pending"), ("approved", "approved"), ("paid", "approved"), ("rejected", "denied")])
                [status]
        };
        let rows = self.commissions(
            |id, earned| {
                json!({"id": id.parse::<u64>().expect("a number"), "amount": earned.units, "unit": "cash", "status": there(earned.status), "is_paid": earned.status == "paid", "sale_amount": earned.base, "event_id": format!("ev_{id}"),
                    "promoter_campaign": {"id": 100 + earned.link, "promoter_id": earned.partner + 1}, "referral": {"id": 5_000 + earned.customer}, "created_at": Self::time(earned.at)})
            },
            |row, trap| match trap {
                0 => row["amount"] = json!("1.5"),
                1 => (row["promoter_campaign"], row["referral"]) = (json!({"promoter_id": 0}), Value::Null),
                // It has no currencies; points are no money either.
                2 => (row["unit"], row["amount"]) = (json!("points"), json!(100)),
                3 => row["status"] = json!("lost"),
                _ => row["created_at"] = json!("1969-07-20T20:17:00Z"),
            },
        );
        lines(folder, "commissions", &rows);
    }

    fn tapfiliate(&self, folder: &Path) {
        let affiliates: Vec<Value> = (0..self.partners)
            .map(|n| json!({"id": format!("af{n}"), "email": self.email(n), "firstname": "Ann", "lastname": format!("Lee {n}"), "created_at": "2017-07-14T02:40:00+00:00"}))
            .collect();
        page(folder, "affiliates", &json!(affiliates));
        let links: Vec<Value> = (0..self.partners)
            .map(|n| json!({"id": format!("af{n}-prog"), "affiliate": {"id": format!("af{n}")}, "referral_link": {"link": format!("https://shop{}.com/?tap_a={n}", n % 3)}, "created_at": "2017-07-14T02:40:00+00:00"}))
            .collect();
        page(folder, "affiliations", &json!(links));
        let rows = self.commissions(
            |id, earned| {
                let approved = BTreeMap::from([("pending", Value::Null), ("approved", json!(true)), ("paid", json!(true)), ("rejected", json!(false))])[earned.status].clone();
                json!({"id": id.parse::<u64>().expect("a number"), "external_id": format!("ord_{id}"), "amount": major(earned.base, earned.currency).to_string(), "affiliate": {"id": format!("af{}", earned.partner)},
                    "customer": {"id": format!("cu_{}", earned.customer)}, "created_at": Self::time(earned.at),
                    "commissions": [{"id": id.parse::<u64>().expect("a number"), "amount": major(earned.units, earned.currency).to_string(), "approved": approved, "currency": earned.currency}]})
            },
            |row, trap| match trap {
                0 => row["commissions"][0]["amount"] = json!("1.2345"),
                1 => (row["affiliate"], row["customer"]) = (json!({"id": "gone"}), Value::Null),
                2 => row["commissions"][0]["currency"] = json!("doubloons"),
                3 => row["commissions"][0]["approved"] = json!("lost"),
                _ => row["created_at"] = json!("1969-07-20T20:17:00Z"),
            },
        );
        lines(folder, "conversions", &rows);
    }
}
