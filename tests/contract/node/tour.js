// A walk through every operation with Twilio's Node SDK. Prints what it saw as JSON.
// node tour.js URL ACCOUNT_SID AUTH_TOKEN NUMBER
const twilio = require("twilio");

const [url, sid, token, number] = process.argv.slice(2);
const PHONE = "+14155550177";

function connect(user, password, options = {}) {
  const client = twilio(user, password, options);
  for (const product of ["api", "accounts", "iam", "lookups"]) client[product].baseUrl = url;
  return client;
}

async function refused(work) {
  try {
    await work;
    return null;
  } catch (error) {
    return { name: error.constructor.name, status: error.status, code: error.code };
  }
}

async function finished(client, messageSid) {
  for (let n = 0; n < 200; n++) {
    const message = await client.messages(messageSid).fetch();
    if (["delivered", "failed", "undelivered"].includes(message.status)) return message;
    await new Promise((wake) => setTimeout(wake, 25));
  }
  throw new Error("the message never finished");
}

async function messages(client) {
  const sent = await client.messages.create({
    to: PHONE, from: number, body: "Grüße 👋", provideFeedback: true, validityPeriod: 600,
  });
  const early = await refused(client.messages(sent.sid).remove());
  const done = await finished(client, sent.sid);
  const listed = await client.messages.list({ to: PHONE, limit: 1000 });
  for (let n = 0; n < 3; n++) await client.messages.create({ to: PHONE, from: number, body: `${n}` });
  const pages = [];
  let page = await client.messages.page({ to: PHONE, pageSize: 2 });
  while (page) {
    pages.push(page.instances.map((message) => message.body));
    page = await page.nextPage();
  }
  const after = await client.messages.list({ to: PHONE, dateSentAfter: new Date(0 + Date.now() - 86400000) });
  const feedback = await client.messages(sent.sid).feedback.create({ outcome: "confirmed" });
  const media = await client.messages(sent.sid).media.list();
  const redacted = await client.messages(sent.sid).update({ body: "" });
  const removed = await client.messages(sent.sid).remove();
  const gone = await refused(client.messages(sent.sid).fetch());
  return {
    sent: { status: sent.status, body: sent.body, numSegments: sent.numSegments, direction: sent.direction,
            dateCreated: sent.dateCreated instanceof Date, uri: sent.uri },
    early, done: done.status, listed: listed.length, pages, after: after.length,
    feedback: feedback.outcome, media: media.length, redacted: redacted.body, removed, gone,
    invalid: await refused(client.messages.create({ to: "nobody", from: number, body: "x" })),
    anonymous: await refused(connect(sid, "0".repeat(32)).messages.list({ limit: 1 })),
  };
}

async function accounts(client) {
  const made = await client.api.v2010.accounts.create({ friendlyName: "Made by Node" });
  const listed = await client.api.v2010.accounts.list({ friendlyName: "Made by Node" });
  const sub = connect(made.sid, made.authToken);
  const secondary = await sub.accounts.v1.secondaryAuthToken().create();
  const promoted = await connect(made.sid, secondary.secondaryAuthToken).accounts.v1.authTokenPromotion().update();
  const stale = await refused(sub.api.v2010.accounts(made.sid).fetch());
  const suspended = await client.api.v2010.accounts(made.sid).update({ status: "suspended" });
  const asleep = await refused(connect(made.sid, promoted.authToken).messages.list({ limit: 1 }));
  const balance = await client.balance.fetch();
  return {
    made: { status: made.status, token: made.authToken.length, owner: made.ownerAccountSid === sid },
    listed: listed.map((account) => [account.sid === made.sid, account.authToken]),
    promoted: promoted.authToken === secondary.secondaryAuthToken, stale, suspended: suspended.status, asleep,
    closed: (await client.api.v2010.accounts(made.sid).update({ status: "closed" })).status,
    balance: [balance.balance, balance.currency],
  };
}

async function keys(client) {
  const key = await client.newKeys.create({ friendlyName: "Node" });
  const asKey = connect(key.sid, key.secret, { accountSid: sid });
  const seen = await asKey.messages.list({ limit: 1 });
  const refusedAccounts = await refused(asKey.api.v2010.accounts.list({ limit: 1 }));
  const renamed = await client.keys(key.sid).update({ friendlyName: "Renamed" });
  const listed = (await client.keys.list()).some((one) => one.sid === key.sid);
  const removed = await client.keys(key.sid).remove();
  return { secret: key.secret.length, seen: seen.length, refusedAccounts, renamed: renamed.friendlyName, listed,
           removed, revoked: await refused(asKey.messages.list({ limit: 1 })) };
}

async function numbers(client) {
  const offers = await client.availablePhoneNumbers("US").local.list({ areaCode: 415, limit: 3 });
  const bought = await client.incomingPhoneNumbers.create({ phoneNumber: offers[0].phoneNumber });
  const changed = await client.incomingPhoneNumbers(bought.sid).update({ friendlyName: "Desk", smsUrl: "https://example.com/in" });
  const listed = await client.incomingPhoneNumbers.list({ phoneNumber: bought.phoneNumber });
  const sent = await client.messages.create({ to: PHONE, from: bought.phoneNumber, body: "From the new one" });
  await finished(client, sent.sid);
  const removed = await client.incomingPhoneNumbers(bought.sid).remove();
  const looked = await client.lookups.v2.phoneNumbers("+14155552671").fetch();
  return { offers: offers.length, bought: bought.capabilities.sms, changed: [changed.friendlyName, changed.smsUrl],
           listed: listed.length, removed,
           gone: await refused(client.messages.create({ to: PHONE, from: bought.phoneNumber, body: "x" })),
           looked: [looked.valid, looked.countryCode, looked.nationalFormat] };
}

(async () => {
  const client = connect(sid, token);
  const seen = {
    messages: await messages(client), accounts: await accounts(client), keys: await keys(client),
    numbers: await numbers(client),
  };
  console.log(JSON.stringify(seen));
})().catch((error) => { console.error(error); process.exit(1); });
