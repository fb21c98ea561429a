//! The words that made-up names are put together from.

pub const FIRST_NAMES: [&str; 32] = [
    "Ada", "Amir", "Anna", "Ben", "Carla", "Chen", "Chloe", "Daniel", "Elena", "Emeka", "Fatima", "Felix", "Grace", "Hana",
    "Igor", "Ines", "Jonas", "Julia", "Kofi", "Lena", "Luca", "Maria", "Mateo", "Nadia", "Noah", "Olga", "Omar", "Priya", "Sara",
    "Tom", "Yuki", "Zoe",
];

pub const LAST_NAMES: [&str; 32] = [
    "Adeyemi",
    "Andersson",
    "Becker",
    "Bianchi",
    "Carter",
    "Costa",
    "Dubois",
    "Fischer",
    "Garcia",
    "Gupta",
    "Haddad",
    "Hansen",
    "Ito",
    "Jensen",
    "Kim",
    "Kovacs",
    "Lopez",
    "Martin",
    "Meyer",
    "Moreau",
    "Nakamura",
    "Novak",
    "Okafor",
    "Olsen",
    "Patel",
    "Petrov",
    "Rossi",
    "Santos",
    "Schmidt",
    "Silva",
    "Tanaka",
    "Weber",
];

pub const COMPANY_HEADS: [&str; 24] = [
    "Alder", "Amber", "Beacon", "Birch", "Bright", "Cedar", "Clear", "Copper", "Delta", "Ember", "Harbor", "Juniper", "Lantern",
    "Maple", "Meridian", "North", "Orchard", "Pine", "Quarry", "River", "Summit", "Tide", "Vale", "Willow",
];

pub const COMPANY_TAILS: [&str; 12] = [
    "Advisors",
    "Agency",
    "Collective",
    "Consulting",
    "Digital",
    "Growth",
    "Labs",
    "Media",
    "Partners",
    "Solutions",
    "Studio",
    "Works",
];

pub const SERVICES: [&str; 8] = [
    "Annual subscription",
    "Team plan",
    "Enterprise licence",
    "Onboarding package",
    "Data migration",
    "Premium support",
    "Analytics add-on",
    "Training day",
];

pub const NOTES: [&str; 6] = [
    "Met at the spring fair; asked for a demo.",
    "Replaces a spreadsheet; wants to start next quarter.",
    "Needs approval from procurement.",
    "Compares us with one other vendor.",
    "Long-standing client of ours.",
    "Prefers to be called in the morning.",
];

pub const STREETS: [&str; 6] =
    ["12 Harbour Lane", "4 Mill Road", "88 Station Street", "27 Market Square", "301 Lake Avenue", "9 Garden Row"];

/// City and ISO 3166-1 code.
pub const CITIES: [(&str, &str); 8] = [
    ("Berlin", "DE"),
    ("Lisbon", "PT"),
    ("Austin", "US"),
    ("Osaka", "JP"),
    ("Lyon", "FR"),
    ("Lagos", "NG"),
    ("Toronto", "CA"),
    ("Pune", "IN"),
];
