"""Texts that the shared prior is made of (make_prior.py): short messages of ours, one a line, `subject | text`.

They were written for the prior alone, apart from the grammar of generate.py, and share no sentence with it. They are few:
the prior is a start and gives way to what a person trains.
"""

from __future__ import annotations

SPAM = """
You have been selected | Dear beneficiary, your email address was selected in our annual award and you won a grand prize of $950,000 USD. To claim your winning fund contact our agent with your full name, phone number and bank account. Congratulations once again.
Business proposal | I am a lawyer to a late client who died without next of kin and left a deposit of 14.5 million dollars with a bank. I need a trusted foreign partner to transfer the money. You will get forty percent. This transaction is confidential and risk free, reply urgently.
Your mailbox is almost full | Your mailbox storage has exceeded the limit. Click the link below to verify your account and upgrade now or your email will be suspended within 24 hours. Failure to confirm your password will lead to permanent deactivation.
Security alert: unusual sign in | We detected unusual activity on your account. Your access has been limited. Please verify your identity immediately by clicking here and confirm your billing information to restore your account.
Parcel could not be delivered | Your package is waiting for delivery. A small shipping fee of $1.99 must be paid. Click here to confirm your address and pay the customs fee to schedule delivery, or the parcel will be returned.
Cheap meds online | Buy viagra, cialis and other pills from the best online pharmacy. No prescription needed, discreet worldwide shipping, lowest price guaranteed, 80% off today only. Order now.
Earn from home | Make $5000 a week working from home with no experience. Financial freedom is just one click away. Limited spots, join free today and start earning money instantly. Guaranteed income.
Bitcoin profit | Our trading robot makes guaranteed profit of 300% on bitcoin and crypto. Invest $250 now and double your investment in one week. Thousands of people are already millionaires. Sign up now before it is too late.
Instant loan approved | Get a loan at 2% interest with no credit check. Approved in minutes, bad credit ok. Apply now for fast cash, consolidate debt and lower your monthly payments. Contact us with the amount needed.
Meet hot singles | Lonely girls in your area want to meet you tonight. Sexy photos and videos, free registration, no credit card required. Click to see who likes you. Adults only.
Rank first on search | We are an SEO company and can put your website on the first page with quality backlinks and guaranteed traffic. Affordable packages, increase sales and leads. Reply for a free audit and price list.
Luxury watches | Replica watches, designer handbags and brands at unbelievable prices. High quality copies, free shipping, satisfaction guaranteed. Visit our store now and save 90%.
Casino bonus | Claim your welcome bonus of 200 free spins and $1000 at the best online casino. Play slots, poker and bet on sports now, win the jackpot. No deposit required, instant payout.
I recorded you | I hacked your device and have full access to your camera. I made a video of you watching adult sites. Send 0.05 bitcoin to my wallet within 48 hours or I will send it to all your contacts.
Overdue payment | Please find attached overdue invoice. Open the attached file and enable content to see the payment details. Failure to settle will result in legal action. The password of the archive is 1234.
Are you at your desk | I am in a meeting and need you to do a task for me quickly. Buy some gift cards at the store, scratch and send me the codes. I will reimburse you later today. Keep this confidential.
Lose weight fast | Miracle diet pill burns fat while you sleep. Lose 30 pounds in 30 days without exercise, doctors hate this secret. Risk free trial, act now, limited supply, money back guarantee.
Your payment has been declined | Your subscription will be cancelled because we could not process your payment. Update your card details now by clicking the button below to avoid losing your account.
You have a tax refund | You are eligible to receive a tax refund of $612.40. Submit the refund request form, click here and enter your card to receive the money.
Wire transfer changed | Our bank account has changed. Please pay the outstanding amount to the new bank account attached and confirm the payment urgently today.
Dear friend donation | I am a widow diagnosed with cancer and decided to donate my inheritance of 7.2 million dollars to charity through you. God bless you, reply for more details.
Bulk email lists | Targeted email database, millions of verified contacts for your marketing campaign. Lowest price, instant download, unsubscribe below. Special offer ends today.
Your voice message | You have a new voice message. Open the attachment to listen. Sign in with your email password to access the secure document shared with you.
Exclusive investment offer | Exclusive offer, high return, no risk. Act now, this offer expires today. Click here to claim your free gift and bonus.
代开发票 | 本公司长期代开各类增值税发票，税点优惠，可先验后付，保真。联系人张经理，电话微信同号，欢迎来电咨询。
低息贷款 | 无抵押无担保贷款，当天放款，利息低，额度高，黑户也可办理。需要资金请加微信或者QQ咨询，手续简单，快速到账。
在线博彩 | 注册就送彩金，百家乐、真人视讯、体育投注，提款秒到账，首存优惠，点击链接立即注册领取红包。
邮箱升级通知 | 您的邮箱容量已满，请立即点击链接验证账号密码进行升级，否则邮箱将在24小时内停用，无法收发邮件。系统管理员。
中奖通知 | 恭喜您被抽中为幸运用户，获得奖金及笔记本电脑一台，请登录网站填写银行卡资料领取，先缴纳手续费。
兼职刷单 | 诚聘兼职，在家手机操作，日赚三百到五百元，佣金当天结算，无需押金，时间自由，加微信了解详情。
包裹异常 | 您的快递包裹因地址不详无法派送，请点击链接补充信息并支付运费，逾期将退回。
补贴领取 | 财政部通知：请各位员工尽快扫描二维码领取个人劳动补贴，需填写银行卡号、身份证和手机验证码，逾期视为放弃。
壮阳药品 | 男人必备，特效保健品，货到付款，保密发货，优惠促销，厂家直销，无效退款。
培训招生 | 企业管理培训课程，总裁研修班，名额有限，报名优惠，欢迎来电索取课程资料，退订请回复。
虚拟币投资 | 比特币区块链投资项目，高收益零风险，跟单老师带你赚钱，日收益百分之十，加群领取内幕消息。
高仿名表 | 高仿手表名牌包包，一比一品质，厂家直销，微信下单，支持货到付款，全场优惠。
"""

HAM = """
Minutes of Tuesday | Hi all, attached are the minutes from Tuesday. Please check the action items and let me know if something is missing. We will continue with the second half of the agenda next week. Thanks, Laura
Lunch on Thursday? | Hey, are you free for lunch on Thursday? I thought we could try the small place near the station. Twelve thirty would work for me. See you, Tom
Question about the report | Hello Peter, I read the draft of the report and have two questions about chapter three. Could we talk tomorrow morning? I am in the office from nine. Best regards, Anna
Your order has shipped | Thank you for your order. Your order number 48213 has shipped today and should arrive on Friday. You can see the details in your account. If you have questions, reply to this message. Your customer service
Invoice for March | Dear Sir or Madam, please find attached our invoice for March as agreed. The amount is due within thirty days. Thank you for your business. Kind regards, accounting department
Re: pull request | I looked at the change, the tests pass and the code is fine. One small comment: the function could return early. After that we can merge it. Thanks for the patch
Weekly newsletter | In this issue: what our members built this month, three articles worth reading, and the dates of the next meetings. You receive this because you subscribed. Unsubscribe at any time with the link at the end.
Holiday photos | Hi mum, we arrived safely and the weather is lovely. The kids were at the beach all day. I will send more photos at the weekend. Love, Julia
Password reset requested | Somebody asked to reset the password of your account. If it was you, use the link within one hour. If it was not you, you can ignore this message; nothing has changed.
Server maintenance on Saturday | On Saturday between two and four the file server will be restarted for maintenance. Please save your work and log out before. Questions to the help desk.
Application as engineer | Dear Ms Weber, I am writing to apply for the position of engineer. My curriculum vitae is attached. I look forward to hearing from you and would be glad to introduce myself. Sincerely
Doctor's appointment | This is a reminder of your appointment on Monday at ten fifteen. Please call us if you cannot come. Bring your insurance card.
Build failed | The build of branch main failed in step test. Two tests did not pass. See the log for details. The last commit was made an hour ago.
Contract draft | Please find the contract draft with our comments. We changed clauses four and seven, the rest is as discussed. Let us have a call on Wednesday before we sign.
School trip | Dear parents, the class trip takes place on the fifteenth. Please sign the form and give your child a packed lunch and rain jacket. The bus leaves at eight.
Your ticket was updated | Your support ticket has a new answer: we could reproduce the problem and the fix will be in the next release. Reply to this mail to add a comment.
Bank statement available | Your account statement for last month is now available in online banking. For your safety we never send links to the login page.
Train tickets | Here are the tickets for Friday. The train leaves at seven forty from platform six, seats are reserved in coach twelve. Have a good journey.
Mailing list: question about parsing | Has somebody seen this error with the new version of the parser? It happens only when the file has an empty line at the end. My patch is below, comments welcome.
Budget for next year | Team, please send me your numbers for next year's budget until the end of the month. The template is on the shared drive. I will put everything together.
Sale in our shop | Dear customer, our summer sale starts on Monday: up to thirty percent on garden furniture while stock lasts. As a registered customer you can order a day earlier. Unsubscribe here.
Confirm your subscription | Please confirm that you want to receive our newsletter by opening this link. If you did not subscribe, do nothing.
Payment received | Thank you, we have received your payment for invoice 2041. The receipt is attached for your records.
Phone number of the plumber | The plumber comes on Wednesday between eight and ten, his number is below. Could you open the door for him? Thanks a lot
会议纪要 | 各位同事，附件是周二会议的纪要，请查看并补充遗漏的内容。下周继续讨论剩余议题，谢谢。
周末聚餐 | 你好，周末有空一起吃饭吗？我在学校附近订了位置，晚上六点半。到时候见。
项目进度 | 李工，项目第二阶段的测试已经完成，报告在附件里。还有两个问题需要确认，明天上午方便打电话吗？
订单已发货 | 感谢您的购买，您的订单已经发货，预计周五送达。如有问题请回复本邮件联系客服。
三月份账单 | 您好，附件是三月份的账单和合同约定的发票，请核对后安排付款。谢谢合作。
系统维护通知 | 本周六凌晨两点到四点服务器维护，期间邮件和文件服务暂停，请提前保存工作。信息中心
家长会通知 | 尊敬的家长，本学期家长会定于下周四下午三点在教室举行，请准时参加。班主任
简历 | 尊敬的王经理，我应聘贵公司软件工程师职位，简历见附件，期待您的回复。此致敬礼
论文修改 | 老师好，论文已经按照您的意见修改，第三章补充了实验数据，请您有空看看。学生小陈
每周通讯 | 本期内容：社区活动回顾，推荐文章，以及下次聚会时间。您收到此邮件是因为您订阅了我们的通讯，可随时退订。
照片 | 妈，我们已经到了，天气很好，孩子们很开心。晚上给您打电话。
合同修改稿 | 附件是合同修改稿，第四条和第七条有改动，其余与之前讨论一致。请法务审阅后回复。
"""


def messages(block: str) -> list[tuple[str, str]]:
    """The messages of a block: subject and text."""
    rows = [line.partition(" | ") for line in block.strip().splitlines()]
    return [(subject, text) for subject, _, text in rows]
