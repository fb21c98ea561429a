//! Affiliates: codes, who referred whom, terms, rewards, wallets.
//!
//! What is known to go wrong in the existing system, and the test by which it does not here:
//!
//! 1. Codes have four digits, run out, and are drawn from a predictable source: `codes::codes_are_long_and_drawn_by_the_system`.
//! 2. Two people get one code by a race: `codes::no_two_people_have_codes_that_look_alike`.
//! 3. New codes kill old links: `codes::former_codes_stay_good`.
//! 4. A wrong code is ignored silently: `referrals::a_wrong_code_is_said_to_be_wrong`.
//! 5. One can refer oneself, or each other: `referrals::nobody_refers_themselves`, `races::two_who_accept_each_other_at_once`.
//! 6. Who referred somebody can change later: `referrals::it_is_decided_once`.
//! 7. Shares of 999 per cent, or below zero: `terms::shares_are_from_0_to_1`.
//! 8. A rule for one person beats the switch for everyone: `terms::the_switch_for_everyone_beats_every_other`.
//! 9. One payment pays twice, and wallet updates are lost: `races::payments_refunds_and_repeats_of_many_people_at_once`.
//! 10. A refund takes nothing back: `rewards::refunds_take_back_exactly_their_share`.
//! 11. Texts and lists show the addresses of referred people: `rewards::an_affiliate_sees_no_more_than_initials`.
//! 12. What is taken out is tested without a lock: `races::no_more_is_taken_out_than_there_is`.
//! 13. A refused withdrawal is lost: `wallet::what_is_rejected_comes_back`.
//! 14. People count as paying who only signed in: `rewards::figures_count_who_paid`.
//! 15. The switch is a toggle, which a repeated request turns back: `terms::the_switch_is_repeatable`.

mod codes;
mod races;
mod referrals;
mod rewards;
mod statements;
mod terms;
mod wallet;
