// Puts a "Copy" button beside everything marked data-copy. Without this script the text can still be selected.
"use strict";

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

async function copy(element, button) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    button.textContent = "Copied";
  } catch {
    // No permission, or a page without TLS: leave the text selected for the keyboard.
    select(element);
    button.textContent = "Selected";
  }
  window.setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

for (const element of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", () => copy(element, button));
  element.after(button);
}
