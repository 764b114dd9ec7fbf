"""Sample letters: what comes to an office from outside: bills, the insurer, a complaint, a report of the server."""

from __future__ import annotations

from typing import Final

from appliance.ops.samples.letter import JUNK, NEW, NEW_STAR, STAR, Letter, Lies
from appliance.ops.samples.papers import invoice, paper, wrapped

_INVOICES: Final = Lies(mailbox="Invoices")
_ARCHIVE: Final = Lies(mailbox="Archive")
_LARCHFIELD: Final = ("Larchfield Timber", "Sawmill Road 12", "accounts@larchfield.example.net")
_TOOLS: Final = ("Tools & Blades Online", "orders@tools.example.net")


def _bill(key: str, days: int, number: str, rows: tuple[tuple[str, int, int], ...], lies: Lies) -> Letter:
    return Letter(
        key=key,
        sender="timber",
        to=("ann",),
        subject=f"Invoice {number}",
        days=days,
        at="6:30",
        text=f"Dear customer,\n\nplease find invoice {number} attached. Payable within 14 days.\n\nLarchfield Timber\n",
        files=(invoice(f"Invoice {number}.pdf", number, rows, _LARCHFIELD),),
        lies={"ann": lies},
    )


def letters() -> tuple[Letter, ...]:
    """All of them."""
    return (
        _bill("bill.1", 57, "4417", (("Oak, boards 40 mm, cubic dm", 320, 310), ("Delivery", 1, 6500)), _INVOICES),
        _bill("bill.2", 36, "4482", (("Ash, boards 27 mm, cubic dm", 140, 265), ("Planing", 1, 4200)), _INVOICES),
        _bill("bill.3", 8, "4561", (("Larch for terraces, metres", 96, 540), ("Delivery", 1, 6500)), STAR),
        Letter(
            key="bill.4",
            sender="timber",
            to=("ann",),
            subject="Invoice 4570 and our new prices from January",
            days=0,
            at="3:25",
            text=wrapped("""
            Dear Ms Weber,

            please find invoice 4570 attached, for the eleven wide boards. From the first of January our prices for oak rise
            by four in a hundred; what you order before is delivered at the old ones.

            Larchfield Timber
        """),
            files=(invoice("Invoice 4570.pdf", "4570", (("Oak, wide boards, pieces", 11, 14800),), _LARCHFIELD),),
            lies={"ann": NEW},
        ),
        Letter(
            key="tools",
            sender="tools",
            to=("bob",),
            cc=("ann",),
            subject="Your order T-20981 is on its way",
            days=14,
            at="11:02",
            text="""Thank you for your order T-20981.

2 x Planer knives 410 mm          2 x 64.00
1 x Riving knife, type B          1 x 28.50
Shipping                               4.90

Total EUR                            161.40
""",
            html="""<div style="font-family:Arial,sans-serif; max-width:560px">
<h2 style="color:#8a3b12">Your order is on its way</h2><p>Order <b>T-20981</b>, handed to the carrier today.</p>
<table cellpadding="8" cellspacing="0" style="border-collapse:collapse; width:100%">
<tr style="background:#f4e9e1"><th align="left">Article</th><th align="right">Pieces</th><th align="right">Amount</th></tr>
<tr><td style="border-bottom:1px solid #ddd">Planer knives 410 mm</td><td align="right" style="border-bottom:1px solid #ddd">2</td>
<td align="right" style="border-bottom:1px solid #ddd">128.00</td></tr>
<tr><td style="border-bottom:1px solid #ddd">Riving knife, type B</td><td align="right" style="border-bottom:1px solid #ddd">1</td>
<td align="right" style="border-bottom:1px solid #ddd">28.50</td></tr>
<tr><td>Shipping</td><td></td><td align="right">4.90</td></tr>
<tr><td><b>Total EUR</b></td><td></td><td align="right"><b>161.40</b></td></tr></table>
<p><a href="https://tools.example.net/orders/T-20981">See the order</a></p></div>
""",
            files=(
                invoice(
                    "T-20981.pdf",
                    "T-20981",
                    (("Planer knives 410 mm", 2, 6400), ("Riving knife, type B", 1, 2850)),
                    _TOOLS,
                ),
            ),
            lies={"ann": _INVOICES},
        ),
        Letter(
            key="parcel",
            sender="parcel",
            to=("bob",),
            subject="Your parcel comes today between 10:15 and 11:45",
            days=12,
            at="7:20",
            text="Parcel 00 3404 2291 comes today between 10:15 and 11:45.\nNobody there? We try the neighbours.\n",
            html="""<table width="100%" cellpadding="0" cellspacing="0"><tr><td style="background:#1d4e89; color:#fff; padding:14px 20px;
font:bold 18px sans-serif">Swift Parcel</td></tr><tr><td style="padding:20px; font:15px sans-serif">
<p>Parcel <b>00 3404 2291</b> comes <b>today between 10:15 and 11:45</b>.</p>
<p><img src="https://map.parcel.example.net/0034042291.png" width="400" height="180" alt="Map of the tour"></p>
<p>Nobody there? We try the neighbours.</p></td></tr></table>
""",
        ),
        Letter(
            key="insurer",
            sender="insurer",
            to=("ada",),
            cc=("ann",),
            subject="Your cover for the new year, policy HM 40 221 7",
            days=24,
            at="10:00",
            text=wrapped("""
            Dear Ms Marsh,

            your policy HM 40 221 7 renews on the first of January. Nothing changes unless you tell us.

            What is covered: the building of the workshop against fire, water and storm; machines to 120,000 euros, material and
            finished work to 60,000 euros; liability to 3 million euros for harm to people and things, at your place and while you
            fit work at a customer's.

            What is not: wear, war, and damage by cloths soaked in oil that were not kept in a closed metal container. We had
            eleven such fires in this region this year and ask you to read the sheet about it.

            The premium is 1,284 euros a year and will be drawn on the fifteenth of January. If you want a higher sum for
            machines, write to us before the twentieth of December: a planer bought this year counts.

            Yours sincerely

            Harbourside Mutual
        """),
            files=(
                paper(
                    "Sheet 7 - oil and fire.pdf",
                    "Sheet 7: oil and fire",
                    (
                        "Linseed oil warms up as it dries. In a heap of cloths the heat",
                        "cannot leave: after some hours they burn by themselves.",
                        "",
                        "  - Spread cloths out to dry in the open, one by one; or",
                        "  - keep them in a metal tin with a lid, under water.",
                        "  - Never put them into a bin, a bag or a pocket.",
                    ),
                ),
            ),
        ),
        Letter(
            key="tax",
            sender="tax",
            to=("ann",),
            subject="Papers of the third quarter",
            days=11,
            at="9:45",
            text="""Dear Ann,

for the third quarter I still need, by the end of the month:

 1. the statements of the account, July to September
 2. the bills of Larchfield (I have 4417; is there a 4482?)
 3. two receipts for fuel, 11 and 27 September
 4. the contract for the planer

Send them as PDF to this address, or through the portal.

Petra Vogel
""",
            lies={"ann": STAR},
        ),
        Letter(
            key="tax.answer",
            sender="ann",
            to=("tax",),
            cc=("ada",),
            answers="tax",
            subject="Re: Papers of the third quarter",
            days=10,
            at="15:12",
            text="""Dear Petra,

>  2. the bills of Larchfield (I have 4417; is there a 4482?)

There is, attached. The receipts for fuel are with Bob, I ask him tomorrow.

>  4. the contract for the planer

Ada has it and sends it tonight.

Ann
""",
            files=(invoice("Invoice 4482.pdf", "4482", (("Ash, boards 27 mm, cubic dm", 140, 265),), _LARCHFIELD),),
        ),
        Letter(
            key="drawer",
            sender="tenant",
            to=("ann",),
            subject="The drawer sticks again",
            days=4,
            at="21:33",
            text="""Good evening,

the second drawer from the top in the kitchen you built sticks. It did in
spring, Mr Li mended it, and for half a year all was well. Since the heating
is on it is back, worse than before. I have to lift and pull.

I am very content with everything else. But for this price a drawer should
open, should it not?

Martin Quill, Lakeside 3
""",
            lies={"ann": NEW_STAR},
        ),
        Letter(
            key="museum",
            sender="museum",
            to=("ada",),
            cc=("ann",),
            subject="Six showcases for the spring exhibition",
            days=5,
            at="11:26",
            text="",
            html="""<p>Dear Ms Marsh,</p>
<p>for the exhibition <i>Hands and Tools</i> in spring we need <b>six showcases</b>:</p>
<ul><li>oak, glass on all sides, doors with a lock,</li><li>light that does not warm what lies inside,</li>
<li>120 &times; 60 &times; 95 cm (two of them 160 cm wide).</li></ul>
<p>May we have your offer by the end of the month? The board decides on the third.</p>
<blockquote style="border-left:3px solid #b9c4d0; padding-left:12px; color:#555">A tool shows its use even behind glass.</blockquote>
<p>Kind regards<br>Nadia Osei<br><span style="color:#777">Museum of Craft, Collections</span></p>
""",
            lies={"ada": NEW_STAR, "ann": NEW},
        ),
        Letter(
            key="applicant",
            sender="applicant",
            to=("ada",),
            subject="I would like to learn with you",
            days=16,
            at="19:50",
            text=wrapped("""
            Dear Ms Marsh,

            I am seventeen and finish school in June. Two summers ago I built a rowing boat with my grandfather, and since then I
            know what I want to be. Your counter in the bookshop is the most beautiful piece of furniture I know.

            May I come for a day and show you how I work? My certificate and a page about the boat are with this.

            Yours sincerely

            Jonas Reed
        """),
            files=(
                paper(
                    "Jonas Reed.pdf",
                    "Jonas Reed",
                    (
                        "Born by the lake, 17 years old",
                        "",
                        "2024  Rowing boat, larch on oak, 4.20 m",
                        "2025  Workbench for the school",
                        "",
                        "Languages: English, German",
                        "Swims, sails, reads plans",
                    ),
                ),
            ),
            lies={"ada": STAR},
        ),
        Letter(
            key="applicant.yes",
            sender="ada",
            to=("applicant",),
            cc=("bob",),
            answers="applicant",
            subject="Re: I would like to learn with you",
            days=15,
            at="8:20",
            text="Dear Jonas,\n\ncome on the second Friday of next month, at seven. Bring strong shoes and the\npictures of the boat.\n\nAda Marsh\n",
        ),
        Letter(
            key="course",
            sender="course",
            to=("bob",),
            subject="Your place in the course “Veneer by hand”",
            days=46,
            at="13:13",
            text="Your place is booked: Veneer by hand, two days, room 2.\nBring a sharp knife and an apron.\n\nGuild of Joiners\n",
            lies={"bob": _ARCHIVE},
        ),
        Letter(
            key="bank",
            sender="bank",
            to=("ada",),
            subject="Your statement is in your mailbox at the bank",
            days=20,
            at="4:10",
            text="The statement of last month is ready. For your safety we never send links: open the bank as you always do.\n",
            lies={"ada": _ARCHIVE},
        ),
        Letter(
            key="old.address",
            sender="bob",
            to=("chen.old",),
            subject="Samples of the soft-close slides",
            days=52,
            at="9:00",
            text="Dear Mr Chen,\n\ncould you send us two pairs, 500 mm?\n\nBob Li, Example Joinery\n",
        ),
        Letter(
            key="bounce",
            sender="server",
            to=("bob",),
            subject="Not delivered: Samples of the soft-close slides",
            days=52,
            at="9:01",
            bounced="old.address",
            text="""Your message could not be delivered to:

    chen.wei@old-hardware.example.net

There is no mailbox of that name there. Check the address: a letter may be
missing or wrong. Nothing was delivered to this recipient.

mx.old-hardware.example.net answered:

    550 5.1.1 <chen.wei@old-hardware.example.net>: no such user here
""",
        ),
        Letter(
            key="prize",
            sender="prize",
            to=("ann",),
            subject="CONGRATULATIONS!! You have WON 1,000,000",
            days=3,
            at="2:41",
            text="Dear winner,\n\nyour address was drawn. To claim, send your name, bank and a fee of 50 to us within 24 HOURS.\n",
            lies={"ann": JUNK},
        ),
        Letter(
            key="pills",
            sender="pills",
            to=("bob",),
            subject="Luxury watches -90% only today",
            days=2,
            at="3:07",
            text="http://watches.example.net/\n",
            html='<center><font size="7" color="red"><b>-90%</b></font><br><a href="http://watches.example.net/">http://riverbank.example.net/</a><br>'
            '<img src="http://watches.example.net/w.gif" width="300" height="200"></center>',
            lies={"bob": JUNK},
        ),
        Letter(
            key="rubbish",
            sender="tools",
            to=("ann",),
            subject="Only this weekend: 15 % off all clamps",
            days=17,
            at="6:00",
            text="All clamps, 15 % off, until Sunday.\n",
            lies={"ann": Lies(mailbox="Trash")},
        ),
    )
