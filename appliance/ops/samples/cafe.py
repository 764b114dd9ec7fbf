"""Sample letters: the café's worktops, from the first question to the order, and a conversation of six about them."""

from __future__ import annotations

from typing import Final

from appliance.ops.samples.letter import STAR, Letter, Lies
from appliance.ops.samples.papers import grain, paper, picture, plan, room, wrapped

_FOLDER: Final = Lies(mailbox="Projects/Café Winter")


def letters() -> tuple[Letter, ...]:
    """Clara Winter and her counter, and the conversation of six about it."""
    return (
        Letter(
            key="cafe.question",
            sender="clara",
            to=("ann",),
            subject="Worktops for the café: may we have a price?",
            days=33,
            at="9:12",
            text=wrapped("""
            Dear Ms Weber,

            we are opening a small café by the lake in spring and have fallen in love with the oak counter you built for
            the bookshop. We would like something of the kind: a counter in the shape of an L, about 4 metres on the long
            side and 2 metres on the short one, and a shelf on the wall behind it.

            I have put a picture of the room and our sketch of the plan with this. The floor is done, the walls get their
            last paint next week. Could you let us have a rough price, and tell us how long it would take?

            Kind regards

            Clara Winter
        """),
            files=(picture("room.png", 240, 160, room), picture("sketch.png", 240, 160, plan)),
            lies={"ann": _FOLDER},
        ),
        Letter(
            key="cafe.price",
            sender="ann",
            to=("clara",),
            answers="cafe.question",
            subject="Re: Worktops for the café: may we have a price?",
            days=32,
            at="14:40",
            text=wrapped("""
            Dear Ms Winter,

            what a lovely room. A counter like that in solid oak, oiled, comes to between 4,800 and 5,600 euros, the shelf to
            about 700. To say it exactly we have to measure; after that it takes five weeks.

            Would next week suit you for a visit?

            With kind regards from the workshop

            Ann Weber
        """)
            + """
> Could you let us have a rough price, and tell us how long it would take?
""",
        ),
        Letter(
            key="cafe.yes",
            sender="clara",
            to=("ann",),
            answers="cafe.price",
            subject="Re: Worktops for the café: may we have a price?",
            days=31,
            at="18:05",
            text="""Dear Ms Weber,

that fits what we had in mind. Next week is fine, best in the morning before
the painters come. One question: can the oil stand coffee?

Clara Winter

On the day before yesterday Ann Weber wrote:
> what a lovely room. A counter like that in solid oak, oiled, comes to
> between 4,800 and 5,600 euros, the shelf to about 700. To say it exactly
> we have to measure; after that it takes five weeks.
>
>> Could you let us have a rough price, and tell us how long it would take?
""",
            lies={"ann": _FOLDER},
        ),
        # --- the thread of six between the three ---
        Letter(
            key="team.1",
            sender="ann",
            to=("ada", "bob"),
            subject="Café Winter: who measures?",
            days=30,
            at="8:02",
            text="""Morning both,

Clara Winter from the lake café said yes to the price. She would like somebody
to come and measure next week, in the morning. Bob, can you?

Ann
""",
        ),
        Letter(
            key="team.2",
            sender="bob",
            to=("ann",),
            cc=("ada",),
            answers="team.1",
            subject="Re: Café Winter: who measures?",
            days=30,
            at="8:31",
            text="""Wednesday or Thursday, before ten. I take the laser and the long level.

Is the wall behind the shelf brick or plasterboard? Matters for the brackets.

Bob

> Bob, can you?
""",
        ),
        Letter(
            key="team.3",
            sender="ada",
            to=("bob", "ann"),
            answers="team.2",
            subject="Re: Café Winter: who measures?",
            days=30,
            at="9:15",
            text="""Brick, the building is from 1910. Take a magnet all the same, there is old
wiring in these houses.

And ask about the water: if the coffee machine stands on our oak, we need a
drip tray that drains.

Ada
""",
        ),
        Letter(
            key="team.4",
            sender="ann",
            to=("ada", "bob"),
            answers="team.3",
            subject="Re: Café Winter: who measures?",
            days=29,
            at="10:47",
            text="""Thursday at nine, she will be there. The drip tray is on the list.

Bob: the painters come at eleven, so please be out of their way by then.

> Wednesday or Thursday, before ten.
""",
            lies={"bob": STAR},
        ),
        Letter(
            key="team.5",
            sender="bob",
            to=("ann", "ada"),
            answers="team.4",
            subject="Re: Café Winter: who measures?",
            days=26,
            at="11:20",
            text="""Done. 4.12 m and 1.96 m, the corner is 91 degrees. So the joint wants a
template, I make one from hardboard this afternoon. Pictures below: the corner,
and the oak I would like to use, the wide boards from the shed.

Bob
""",
            files=(picture("corner.png", 240, 160, plan), picture("oak from the shed.png", 240, 160, grain)),
            lies={"ann": STAR},
        ),
        Letter(
            key="team.6",
            sender="ada",
            to=("bob", "ann"),
            answers="team.5",
            subject="Re: Café Winter: who measures?",
            days=26,
            at="15:55",
            text="""Beautiful boards, take them. Ann, please write the offer with 5,350 for the
counter and 720 for the shelf. I sign it tonight.

Ada
""",
        ),
        Letter(
            key="cafe.offer",
            sender="ann",
            to=("clara",),
            cc=("ada",),
            answers="cafe.yes",
            subject="Our offer for your counter",
            days=25,
            at="9:30",
            text=wrapped("""
            Dear Ms Winter,

            here is our offer. Yes, the oil stands coffee, if somebody wipes it within the hour; once a year it wants a thin
            new coat, which takes an evening and which we show you.

            With kind regards

            Ann Weber
        """),
            files=(
                paper(
                    "Offer 0117 Café Winter.pdf",
                    "Offer 0117",
                    (
                        "Example Joinery, 4 Mill Lane",
                        "",
                        "To: Clara Winter, Winter Cafe by the lake",
                        "",
                        "1  Counter, solid oak, oiled, 4.12 m x 1.96 m      5,350.00",
                        "2  Shelf on the wall, oak, brackets of steel         720.00",
                        "3  Drip tray, stainless, with drain                  180.00",
                        "",
                        "Total EUR, tax included                            6,250.00",
                        "",
                        "Delivery and fitting within five weeks of your order.",
                        "This offer stands for thirty days.",
                    ),
                ),
            ),
        ),
        Letter(
            key="cafe.order",
            sender="clara",
            to=("ann",),
            cc=("ada",),
            answers="cafe.offer",
            subject="Re: Our offer for your counter",
            days=22,
            at="20:14",
            text="""Ordered! Signed copy follows by post. We are so looking forward to it.

Could the shelf be 10 cm longer, to the door frame?

Clara
""",
            lies={"ann": Lies(star=True, mailbox=_FOLDER.mailbox)},
        ),
        Letter(
            key="cafe.longer",
            sender="ann",
            to=("clara",),
            answers="cafe.order",
            subject="Re: Our offer for your counter",
            days=21,
            at="8:10",
            text="""Dear Ms Winter,

thank you! Ten centimetres more are a pleasure, and free of charge.

Ann Weber
""",
        ),
    )
