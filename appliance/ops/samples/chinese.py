"""Sample letters in Chinese: the supplier of hardware, a tea house, a newsletter."""

from __future__ import annotations

from typing import Final

from appliance.ops.samples.letter import NEW, NEW_STAR, Letter, Lies
from appliance.ops.samples.papers import picture, plan, table

_SUPPLIERS: Final = Lies(mailbox="供应商")


def letters() -> tuple[Letter, ...]:
    """All of them."""
    return (
        Letter(
            key="chen.1",
            sender="bob",
            to=("chen",),
            subject="缓冲滑轨询价",
            days=48,
            at="8:15",
            text="""陈先生，您好：

我们是一家小型木工作坊，想给一批展示柜和厨房抽屉换用缓冲滑轨。
请问 500 毫米、承重 45 公斤的型号，60 付的价格是多少？交货期多长？
如果方便，能否先寄两付样品？运费由我们承担。

此致
敬礼

李博
""",
        ),
        Letter(
            key="chen.2",
            sender="chen",
            to=("bob",),
            answers="chen.1",
            subject="回复：缓冲滑轨询价",
            days=47,
            at="3:40",
            text="""李先生，您好：

感谢您的来信。报价单见附件，60 付可享九五折，现货，付款后五个工作日内发货。
样品已于今天寄出，免收运费。安装时请注意：柜体内宽要比抽屉宽 26 毫米。

祝
商祺

陈伟
""",
            files=(
                table(
                    "报价单.csv",
                    (
                        ("型号", "长度 (mm)", "承重 (kg)", "单价 (元)", "数量", "金额 (元)"),
                        ("HG-350", "350", "35", "38.00", "20", "760.00"),
                        ("HG-500", "500", "45", "46.00", "60", "2622.00"),
                        ("HG-600", "600", "45", "53.00", "10", "530.00"),
                    ),
                ),
            ),
            lies={"bob": _SUPPLIERS},
        ),
        Letter(
            key="chen.3",
            sender="bob",
            to=("chen",),
            cc=("ann",),
            answers="chen.2",
            subject="回复：缓冲滑轨询价",
            days=35,
            at="9:05",
            text="""陈先生：

样品收到了，非常好，比我们现在用的安静得多。我们订 60 付 HG-500，
请按报价单开票。收货人写安娜（Ann Weber），她在办公室。

李博

> 样品已于今天寄出，免收运费。
""",
        ),
        Letter(
            key="chen.4",
            sender="chen",
            to=("bob",),
            cc=("ann",),
            answers="chen.3",
            subject="回复：缓冲滑轨询价",
            days=34,
            at="2:18",
            text="""李先生、安娜女士：

订单收到，合同号 HG-0612。货物明天发出，预计四周内到达。
如有破损，请在签收后七天内拍照告诉我们，我们免费补寄。

陈伟
""",
            lies={"bob": Lies(star=True, mailbox=_SUPPLIERS.mailbox)},
        ),
        Letter(
            key="wang.1",
            sender="wang",
            to=("bob",),
            subject="想定做一张茶桌",
            days=3,
            at="6:52",
            text="""李师傅，您好！

我在湖边开了一家小茶馆，朋友说您会做中式家具。我想定做一张茶桌：
长一米八，宽七十公分，高四十五公分，最好用老榆木，榫卯结构，不用钉子。
草图在附件里。请问大概多少钱？春节以后能做好吗？

王芳
""",
            files=(picture("茶桌草图.png", 240, 160, plan),),
            lies={"bob": NEW_STAR},
        ),
        Letter(
            key="hinge.1",
            sender="hinge",
            to=("bob",),
            subject="合页与滑轨周报：新品三款，老客户九折",
            days=6,
            at="1:30",
            text="本周新品三款：静音合页、隐形拉手、超薄滑轨。老客户九折，截止月底。\n\nhttps://hardware.example.net/news\n",
            html="""<table width="100%" cellpadding="0" cellspacing="0" bgcolor="#eef3f1"><tr><td align="center">
<table width="560" cellpadding="16" cellspacing="0" bgcolor="#ffffff" style="font-family:'PingFang SC','Microsoft YaHei',sans-serif">
<tr><td style="background:#14532d; color:#ffffff; font-size:22px">合页与滑轨周报</td></tr>
<tr><td><img src="https://pictures.hardware.example.net/new.png" width="528" height="200" alt="三款新品"></td></tr>
<tr><td><h2 style="font-size:17px">新品三款</h2><ol><li><b>静音合页</b>：开合十万次，无声。</li><li><b>隐形拉手</b>：按一下，门就开。</li>
<li><b>超薄滑轨</b>：只有九毫米，承重三十公斤。</li></ol>
<p>老客户<b style="color:#b91c1c">九折</b>，截止月底。<a href="https://hardware.example.net/news">点此查看</a></p></td></tr>
</table></td></tr></table>
""",
            lies={"bob": NEW},
        ),
    )
