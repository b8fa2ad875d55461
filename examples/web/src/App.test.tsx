import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter } from 'react-router';
import { App } from './App';

const visit = (path: string) =>
  render(
    <MemoryRouter initialEntries={[path]}>
      <App />
    </MemoryRouter>,
  );

describe('App', () => {
  it('opens on the board, with the whole ledger', () => {
    visit('/');
    expect(screen.getByRole('heading', { name: 'Consignments' })).toBeInTheDocument();
    expect(screen.getByRole('status')).toHaveTextContent('18 of 18');
  });

  it('narrows the board by word and by status', async () => {
    const user = userEvent.setup();
    visit('/');
    await user.type(screen.getByRole('searchbox', { name: 'Search the ledger' }), 'mombasa');
    expect(screen.getByRole('status')).toHaveTextContent('3 of 18');
    await user.selectOptions(screen.getByRole('combobox', { name: 'Status' }), 'held');
    expect(screen.getByText('Nothing in the ledger matches.')).toBeInTheDocument();
  });

  it('sorts by weight, then the other way round', async () => {
    const user = userEvent.setup();
    visit('/');
    const weightHead = screen.getByRole('button', { name: 'Weight' });
    await user.click(weightHead);
    expect(screen.getAllByRole('rowheader')[0]).toHaveTextContent('HL-1014');
    await user.click(weightHead);
    expect(screen.getAllByRole('rowheader')[0]).toHaveTextContent('HL-1006');
  });

  it('follows a number to its page and shows the remark', async () => {
    const user = userEvent.setup();
    visit('/');
    await user.click(screen.getByRole('link', { name: 'HL-1017' }));
    expect(screen.getByRole('heading', { name: 'HL-1017: frozen shrimp' })).toBeInTheDocument();
    expect(screen.getByText(/eleven hours above temperature/)).toBeInTheDocument();
  });

  it('has a page about itself', () => {
    visit('/about');
    expect(screen.getByRole('heading', { name: 'About' })).toBeInTheDocument();
  });

  it.each(['/nowhere', '/consignment/HL-9999'])('admits that %s is not there', (path) => {
    visit(path);
    expect(screen.getByRole('heading', { name: 'Not in the ledger' })).toBeInTheDocument();
  });
});
