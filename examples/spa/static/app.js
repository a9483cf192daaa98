// The page's script. It knows no tokens: the session is in a cookie that it cannot read.

const korean = navigator.language.startsWith("ko");
const texts = korean ? {
  title: "작은 가게", login: "로그인", who: "사용자", logout: "로그아웃", refund: "환불",
  refunded: (o) => `환불했습니다: ${o.id} ${o.what}, ₩${o.price}`,
  again: (id) => `확인되었습니다. 이제 주문 ${id}의 환불을 누르세요.`,
  cancelled: "로그인이 취소되었거나 거부되었습니다.", weak: "이 가게는 2단계 인증이 필요합니다.",
  failed: "문제가 생겼습니다. 다시 시도해 주세요.",
} : {
  title: "A small shop", login: "Sign in", who: "Who", logout: "Sign out", refund: "Refund",
  refunded: (o) => `Refunded: ${o.id} ${o.what}, ₩${o.price}`,
  again: (id) => `That is you. Now press Refund at order ${id}.`,
  cancelled: "The sign-in was cancelled or refused.", weak: "This shop needs a second factor.",
  failed: "Something went wrong. Please try again.",
};

const $ = (id) => document.getElementById(id);
const say = (text) => { $("said").textContent = text; };

// ask asks the backend. Without a session the answer is null, and the page says so; with
// one that has proved too little for the API, the error is a NotEnough.
async function ask(path, options) {
  const response = await fetch(path, { ...options, headers: { Accept: "application/json" } });
  if (response.status === 401) {
    if (/^Session error="(old|weak)"$/.test(response.headers.get("WWW-Authenticate"))) {
      throw new NotEnough();
    }
    show(null);
    return null;
  }
  if (!response.ok) {
    throw new Error(`${path}: ${response.status}`);
  }
  return response.json();
}

class NotEnough extends Error {}

async function refund(order) {
  try {
    const refunded = await ask(`/my/orders/${encodeURIComponent(order.id)}/refund`, { method: "POST" });
    if (refunded) {
      say(texts.refunded(refunded));
    }
  } catch (error) {
    if (error instanceof NotEnough) {
      location.assign(`/fresh?order=${encodeURIComponent(order.id)}`);
      return;
    }
    say(texts.failed);
  }
}

function show(session, orders = []) {
  $("out").hidden = session !== null;
  $("in").hidden = session === null;
  if (session === null) {
    return;
  }
  $("who").textContent = session.name;
  $("acr").textContent = session.acr;
  $("amr").textContent = session.amr.join(" ");
  $("orders").replaceChildren(...orders.map((order) => {
    const button = document.createElement("button");
    button.id = `refund-${order.id}`;
    button.textContent = texts.refund;
    button.setAttribute("aria-label", `${texts.refund}: ${order.id} ${order.what}`);
    button.addEventListener("click", () => refund(order));
    const item = document.createElement("li");
    item.append(`${order.id} ${order.what}, ₩${order.price} `, button);
    return item;
  }));
}

document.documentElement.lang = korean ? "ko" : "en";
document.title = texts.title;
for (const element of document.querySelectorAll("[data-text]")) {
  element.textContent = texts[element.dataset.text];
}
const why = location.hash.slice(1); // where a sign-in left off
history.replaceState(null, "", "/");
try {
  const session = await ask("/my/session");
  const orders = session && await ask("/my/orders");
  if (orders) {
    show(session, orders);
  }
} catch {
  say(texts.failed);
}
if (why.startsWith("order-")) {
  const id = decodeURIComponent(why.slice("order-".length));
  say(texts.again(id));
  $(`refund-${id}`)?.focus();
} else if (why) {
  say(typeof texts[why] === "string" ? texts[why] : texts.failed);
}
