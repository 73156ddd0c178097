"use strict";
// Reads the compressed data blocks of the page, and writes its address.

async function openBlock(name) {
  const element = document.getElementById("block-" + name);
  if (!element) return null;
  const text = atob(element.textContent);
  // A loop: for megabytes it takes a tenth of the time of Uint8Array.from.
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
}

async function readBlock(name) {
  const block = await openBlock(name);
  return block && block.json();
}

// Columns as packed_columns.py writes them: the header, with each array by its name.
async function readColumns(name) {
  const block = await openBlock(name);
  if (!block) return null;
  const buffer = await block.arrayBuffer();
  const headerLength = Number(new DataView(buffer).getBigUint64(0, true));
  const columns = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, headerLength)));
  for (const [key, [type, offset, length]] of Object.entries(columns.arrays)) {
    columns.arrays[key] = new globalThis[type](buffer, 8 + headerLength + offset, length);
  }
  return columns;
}

// Put a hash into the address without a step back to the former one.
function replaceHash(hash) {
  try {
    history.replaceState(null, "", location.href.split("#")[0] + hash);
  } catch {
    // Safari allows 100 within 30 seconds, which a fast typist exceeds; the list is right all the same.
  }
}
