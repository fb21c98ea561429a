//! What takes payments back: refunds, each by itself and as their charge has them in all, and disputes.

use super::{LATE, Report, amounts::amount};
use crate::{
    models::{
        billing::reversal::{Reversal, ReversalKind},
        webhooks::inbox::Disposition,
    },
    webhooks::receiving::fields::{Stop, ignored},
};

impl Report<'_, '_, '_> {
    /// A charge says how much of it has been refunded in all.
    pub(super) async fn charge(self) -> Result<Disposition, Stop> {
        let id = self.object.needed("/id")?;
        let payment = self.object.id_at("/payment_intent").unwrap_or(id);
        // In its old shape it names the invoice that it has paid.
        let Some(invoice) = self.object.id_at("/invoice") else {
            return self.reverse(id, payment, ReversalKind::Charge, ("/amount_refunded", true, 0)).await;
        };
        self.processor.lock(&[payment], Some(invoice)).await?;
        // Where it is not the only one, the next step says so.
        self.pays(payment, invoice).await?;
        let mut disposition = self.reverse(id, payment, ReversalKind::Charge, ("/amount_refunded", true, 0)).await?;
        if let Disposition::Applied { known, .. } | Disposition::Ignored { known, .. } = &mut disposition {
            known.push(payment.to_owned());
        }
        Ok(disposition)
    }

    /// A refund may fail afterwards, and then for good.
    pub(super) async fn refund(self) -> Result<Disposition, Stop> {
        let id = self.object.needed("/id")?;
        let payment = self.payment("").ok_or_else(|| Stop::failed("It names no payment."))?;
        let (is_taken, step) = match self.object.text("/status") {
            Some("failed" | "canceled") => (false, 2),
            Some("succeeded") => (true, 1),
            _ => (true, 0),
        };
        self.reverse(id, payment, ReversalKind::Refund, ("/amount", is_taken, step)).await
    }

    /// What is disputed is taken back from the beginning, and given back when the dispute is won. An inquiry moves no money.
    pub(super) async fn dispute(self, event: &str) -> Result<Disposition, Stop> {
        let id = self.object.needed("/id")?;
        let payment = self.payment("").ok_or_else(|| Stop::failed("It names no payment."))?;
        let is_open = !matches!(
            self.object.needed("/status")?,
            "won" | "prevented" | "warning_needs_response" | "warning_under_review" | "warning_closed"
        );
        let (is_taken, step) = match event {
            "charge.dispute.funds_withdrawn" => (true, 1),
            "charge.dispute.funds_reinstated" => (false, 2),
            "charge.dispute.closed" => (is_open, 3),
            _ => (is_open, 0),
        };
        self.reverse(id, payment, ReversalKind::Dispute, ("/amount", is_taken, step)).await
    }

    /// Keeps the state of an object that takes back a payment, and lets the books follow. It waits for what says which invoice the payment has paid, and
    /// for that invoice.
    async fn reverse(
        self,
        id: &str,
        payment: &str,
        kind: ReversalKind,
        (path, is_taken, step): (&str, bool, i32),
    ) -> Result<Disposition, Stop> {
        let amount = amount(self.object.needed_number(path)?, self.object.needed("/currency")?)?;
        self.processor.lock(&[payment], None).await?;
        let invoices = self.processor.invoices_of(&[payment]).await?;
        let invoice = match &invoices[..] {
            [] => return Ok(Disposition::waits_for(payment, format!("No invoice is known that {payment} has paid."))),
            [invoice] => invoice,
            _ => return Err(Stop::failed(format!("{payment} has paid several invoices, and it does not say which it is of."))),
        };
        let Some(currency) = self.processor.currency_of(invoice).await? else {
            return Ok(Disposition::waits_for(invoice, format!("The invoice {invoice} has not been reported yet.")));
        };
        if currency != amount.currency.code() {
            let reason = format!("It is in {}, and the invoice in {currency}.", amount.currency.code());
            return Ok(Disposition::Parked { reason, waits_for: None });
        }
        let state = Reversal {
            object_id: id.to_owned(),
            payment_id: payment.to_owned(),
            kind,
            currency,
            amount: amount.amount,
            is_taken,
            created_at: self.object.seconds("/created").unwrap_or(self.at),
            as_of: self.at,
            step,
        };
        let is_latest = self.processor.note_reversal(&state).await?;
        self.processor.follow_reversals(invoice, self.at).await?;
        Ok(if is_latest { Disposition::applied([]) } else { ignored(LATE) })
    }
}
