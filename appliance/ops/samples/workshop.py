"""Sample letters: what the three of the workshop say among themselves, besides the café."""

from __future__ import annotations

from appliance.ops.samples.letter import NEW, NEW_STAR, STAR, Letter
from appliance.ops.samples.papers import picture, sign, wrapped


def letters() -> tuple[Letter, ...]:
    """What the three tell each other."""
    return (
        Letter(
            key="holiday",
            sender="bob",
            to=("ada",),
            subject="Two weeks in February?",
            days=19,
            at="12:30",
            text="""Ada,

may I have the two weeks from 8 February? My parents celebrate the new year
with the whole family, and I have not been there for three years.

The café is fitted by then.

Bob
""",
        ),
        Letter(
            key="holiday.yes",
            sender="ada",
            to=("bob",),
            cc=("ann",),
            answers="holiday",
            subject="Re: Two weeks in February?",
            days=18,
            at="7:58",
            text="""Of course. Ann, please put it into the plan. Bring pictures!

Ada

> may I have the two weeks from 8 February?
""",
            lies={"bob": STAR},
        ),
        Letter(
            key="sign",
            sender="ada",
            to=("ann", "bob"),
            subject="The new sign for the gate",
            days=9,
            at="16:20",
            text="""The sign painter's proposal is in this message. Dark green, letters like
maple. I like it. You?

Ada
""",
            html="""<p>The sign painter's proposal. Dark green, letters like maple. I like it. <b>You?</b></p>
<p><img src="cid:sign@example.test" alt="The sign: a wooden plane on dark green" width="480" height="160"></p>
<p>Ada</p>
""",
            files=(picture("sign.png", 240, 80, sign, "sign@example.test"),),
            lies={"bob": NEW},
        ),
        Letter(
            key="sign.yes",
            sender="ann",
            to=("ada", "bob"),
            answers="sign",
            subject="Re: The new sign for the gate",
            days=9,
            at="16:48",
            text="Yes! The plane is lovely. A little more room to the right?\n\nAnn\n",
            lies={"bob": NEW},
        ),
        Letter(
            key="minutes",
            sender="ada",
            to=("ann", "bob"),
            subject="Minutes: what we said on Monday, and who does what",
            days=7,
            at="17:30",
            text="Thank you for a good hour on Monday. Here is what I wrote down; shout if it is wrong.\n\n"
            + wrapped("""
            1. ORDERS. The café is in time: all boards are planed, the template fits, the corner joint is cut on Thursday.
            The museum asks for six showcases with glass and light; Ann collects their questions and we talk it over when
            the list is whole. The tenant from the lakeside, whose drawer sticks, gets a visit this week: it is our drawer,
            and a drawer of ours does not stick.

            2. TIMBER. Larchfield raises its prices by four in a hundred from January. We buy the oak for the museum now,
            eleven boards, and let it lie; the shed has room since the ash went out. Walnut we buy only by order. The larch
            for the terrace is paid and comes in the second week.

            3. MACHINES. The planer has new knives and takes a tenth less than the scale says; mind it until the fitter has
            been. The dust extraction is tested on the 14th, the mason's vacuum stands in for it that morning. Nobody works
            at the saw without the riving knife, not even for one cut, not even the boss.

            4. HARDWARE. Bob's slides from Mr Chen arrived and are better than the old ones: quieter, softer, and they come
            out without a tool. We take them for the showcases too, if the price holds for sixty pieces. Samples of the
            hinges are on the window sill in the office. Please open and close them a hundred times and say what you think.

            5. OFFICE. From now on a bill is paid by whoever ordered the goods saying yes in a mail to Ann. Bills lie in the
            folder "Invoices". Petra Vogel wants the papers of the third quarter by the end of the month; Ann has most of
            them, two receipts from the fuel station are missing (Bob, the van).

            6. APPRENTICE. Jonas Reed wants to learn with us. His letter is good, and he built a boat at sixteen. We invite
            him for a day of trial work; Bob shows him the hand tools, in the afternoon he makes a box with finger joints.

            7. SUMMER. We close for three weeks from the last Monday in July. Whoever wants other weeks says so before
            Easter. The workshop will be painted in that time, white below, nothing above: the beams stay as they are.

            8. SAFETY. Cloths with oil go into the tin with the lid, at once, every time; the insurer sent a sheet about it and
            it hangs beside the door now. The fire extinguisher by the stairs was tested and is good until next November.
            The first-aid box lacks plasters, somebody uses them as labels; please stop that, there are labels in the drawer
            under the scale. Ears are covered at the planer, also for a short piece, also when nobody looks.

            9. CUSTOMERS. Three letters of thanks this month, from the bookshop, the school and the family with the stairs.
            They hang in the office. Two complaints: the drawer at the lakeside and a scratch in a door that the carrier
            made; the carrier pays. We answer every complaint on the day it comes, even if it is only to say that we read
            it. Ann keeps the list, whoever mends a thing writes there what it was, so that we do not build it twice.

            10. VARIOUS. The kettle is broken. Ann buys one. The cat from the neighbours sleeps in the shavings and may.
        """)
            + "\nAda\n",
            lies={"bob": NEW},
        ),
        Letter(
            key="kettle",
            sender="ann",
            to=("ada", "bob"),
            subject="Kettle",
            days=6,
            at="13:05",
            text="New kettle is here. It is red. Tea at four?\n\nAnn\n",
        ),
        Letter(
            key="kettle.bob",
            sender="bob",
            to=("ann", "ada"),
            answers="kettle",
            subject="Re: Kettle",
            days=6,
            at="13:06",
            text="Four it is 🍵\n",
        ),
        Letter(
            key="fitting",
            sender="bob",
            to=("ann",),
            subject="Parts for the fitting on Thursday",
            days=1,
            at="7:44",
            text="""Ann, could you put these into the blue box, please?

  - 24 brackets, long
  - 60 screws 5 x 80, Torx
  - the drip tray
  - oil, cloths, and a tin with a lid for the cloths (they catch fire!)
  - cake for the painters

Bob
""",
            lies={"ann": NEW_STAR},
        ),
        Letter(
            key="draft",
            sender="ann",
            to=("museum",),
            subject="Six showcases: our questions",
            days=1,
            at="16:58",
            draft=True,
            text="""Dear Ms Osei,

before we can say a price for the showcases we would like to know:

1. Does the light have to be switched in every case by itself?
2. How heavy is the heaviest piece?
3.
""",
        ),
    )
